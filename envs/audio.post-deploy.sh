# Snakemake runs this in the new environment. What conda files list is installed with all that it
# depends on; this is installed for the trained weights in it alone.
python -m pip install --no-deps musicnn==0.1.0
