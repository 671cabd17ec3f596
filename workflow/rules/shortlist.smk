# The lexical shortlist.


rule make_shortlist:
    input:
        data=rules.binarise_corpus.output.counts,
        supertransformer=rules.train_supertransformer.output.checkpoint,
    # vmap.txt is beside it, unless no size is good enough.
    output:
        shortlist="results/{task}/shortlist/shortlist.json",
    log:
        "results/logs/{task}/shortlist.log",
    benchmark:
        "results/benchmarks/{task}/shortlist.tsv"
    threads: all_cores
    resources:
        mem_mb=growing(8000),
        runtime=720,
    params:
        settings=settings_of("shortlist"),
    message:
        "{wildcards.task}: align words, choose the size of the shortlist"
    shell:
        "hat --log {log} shortlist {wildcards.task}"
