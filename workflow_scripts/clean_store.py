"""Remove from the store what no experiment uses any more."""

from emotrace.jobs import run_job


def main() -> None:
    from emotrace.cleaning import find_unused, remove
    from emotrace.store import open_store

    store = open_store(snakemake.config["store"])
    unused, used = find_unused(store, snakemake.params.products)
    print(
        f"{store.root}: {len(used.entries)} entries are in use "
        f"({used.size / 1e6:.1f} MB), {len(unused.entries)} are not "
        f"({unused.size / 1e6:.1f} MB) and are removed now"
    )
    remove(store, unused)


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
