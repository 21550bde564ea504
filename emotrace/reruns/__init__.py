"""Why a rerun is as large as its change: digests of code, the store, cleaning, the forecast."""
