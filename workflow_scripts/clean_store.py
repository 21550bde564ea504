"""Remove the entries of the store that no experiment uses any more."""

from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace.reruns.cleaning import remove_unused, take_inventory
    from emotrace.reruns.store import open_store

    store = open_store(snakemake.config["store"])
    inventory = take_inventory(store, snakemake.params.products)
    for user, claims in inventory.missing.items():
        print(f"{user} is not found, and what it uses is kept; if it is gone, rm -r {claims}")
    for product in inventory.dropped:
        print(f"{product} is not part of this experiment, so its entries are not kept for it")
    used, unused = inventory.used, inventory.unused
    print(
        f"{store.root}: {len(used.entries)} files are in use "
        f"({used.size / 1e6:.1f} MB), {len(unused.entries)} are not "
        f"({unused.size / 1e6:.1f} MB) and are removed now"
    )
    remove_unused(store, inventory)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output):
        main()
