"""Everything that depends on Snakemake."""
