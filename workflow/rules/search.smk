# The best Architecture within a budget.


rule search_front:
    input:
        predictor=rules.fit_predictor.output.predictor,
        supertransformer=rules.train_supertransformer.output.checkpoint,
        data=rules.binarise_corpus.output.counts,
    output:
        front="results/{task}/{device}/search/front.json",
        candidates="results/{task}/{device}/search/candidates.parquet",
        points="results/{task}/{device}/search/front.parquet",
    log:
        "results/logs/{task}/{device}/search-front.log",
    benchmark:
        "results/benchmarks/{task}/{device}/search-front.tsv"
    threads: all_cores
    resources:
        **EVALUATING,
        mem_mb=growing(4000),
        runtime=480,
    params:
        settings=settings_of("front"),
    message:
        "{wildcards.task}, {wildcards.device}: search for all budgets at once"
    shell:
        "hat --log {log} search-front {wildcards.task} {wildcards.device}"


# The best few Architectures are measured, so this job needs the device for itself.
rule search:
    input:
        predictor=rules.fit_predictor.output.predictor,
        supertransformer=rules.train_supertransformer.output.checkpoint,
        data=rules.binarise_corpus.output.counts,
        front=front_of,
        shortlist=deployed_shortlist,
    output:
        architecture="results/{task}/{device}/{budget}/architecture.json",
        candidates="results/{task}/{device}/{budget}/search.parquet",
    log:
        "results/logs/{task}/{device}/{budget}/search.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/search.tsv"
    wildcard_constraints:
        budget=BUDGET_PATTERN,
    threads: all_cores
    resources:
        **THE_DEVICE,
        **EVALUATING,
        mem_mb=growing(4000),
        runtime=480,
    params:
        settings=settings_of("search"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: search for the best Architecture and measure it"
    shell:
        "hat --log {log} search {wildcards.task} {wildcards.device} {wildcards.budget}"


# Random search, to compare the search with; runs only on request.
rule random_search:
    input:
        searched=rules.search.output.candidates,
        predictor=rules.fit_predictor.output.predictor,
        supertransformer=rules.train_supertransformer.output.checkpoint,
        data=rules.binarise_corpus.output.counts,
    output:
        candidates="results/{task}/{device}/{budget}/random-search.parquet",
    log:
        "results/logs/{task}/{device}/{budget}/random-search.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/random-search.tsv"
    wildcard_constraints:
        budget=BUDGET_PATTERN,
    threads: all_cores
    resources:
        **EVALUATING,
        mem_mb=growing(4000),
        runtime=480,
    params:
        settings=settings_of("random_search"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: random search, to compare the search with"
    shell:
        "hat --log {log} search-random {wildcards.task} {wildcards.device} {wildcards.budget}"
