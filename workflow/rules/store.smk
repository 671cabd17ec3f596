# Copies of the results of budgets in remote storage; see `storage` in the configuration.

STORAGE = SETTINGS.configuration.storage

if STORAGE.prefix:

    storage results:
        provider=STORAGE.provider,

    rule store_budget:
        input:
            "results/{task}/{device}/{budget}/bleu.txt",
            "results/{task}/{device}/{budget}/latency.json",
            "results/{task}/{device}/{budget}/model/model.json",
        output:
            storage.results(STORAGE.prefix + "/{task}/{device}/{budget}.tar.gz"),
        log:
            "results/logs/{task}/{device}/{budget}/store.log",
        threads: 1
        resources:
            mem_mb=growing(500),
            runtime=60,
        message:
            "{wildcards.task}, {wildcards.device}, {wildcards.budget}: copy the results to the storage"
        shell:
            "tar -C results --exclude=partial -czf {output} {wildcards.task}/{wildcards.device}/{wildcards.budget}"
            " > {log} 2>&1"

    rule store_table:
        input:
            "results/tables/{table}",
        output:
            storage.results(STORAGE.prefix + "/tables/{table}"),
        log:
            "results/logs/tables/{table}-store.log",
        localrule: True
        message:
            "tables: copy {wildcards.table} to the storage"
        shell:
            "cp {input} {output} 2> {log}"

    rule stored:
        input:
            lambda wildcards: storage.results(
                [
                    f"{STORAGE.prefix}/{DEMO.task}/{DEMO.device}/{budget}.tar.gz"
                    for budget in budgets(DEMO.task, DEMO.device)
                ]
            ),
            storage.results(
                expand(
                    f"{STORAGE.prefix}/tables/{DEMO.task}-{DEMO.device}.{{ending}}",
                    ending=("csv", "md", "json"),
                )
            ),
        localrule: True
        message:
            "{DEMO.task}, {DEMO.device}: all results are stored"
