# From a task, a device and a latency budget to a measured, scored translation model.
#
#   snakemake                                       the default target: three budgets on this machine
#   snakemake results/bibleende/local/60ms/bleu.txt one budget of a task and device
#   snakemake results/bibleende/local/transformer-base/bleu.txt
#                                                   a baseline (config/baselines/) instead of a budget
#   snakemake figures                               all figures and tables whose inputs exist
#   snakemake results/report.html                   one page with all results
#
# Settings: config/README.md. Rules contain no logic; each calls a verb of `hat`.
from snakemake.utils import min_version

min_version("9.0")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


localrules:
    demo,
    tables,
    draw_figures,
    figures,
    report,
    compression,
    cost,


rule demo:
    input:
        DEFAULT_TARGETS,
        lambda wildcards: artifacts(DEMO.task, DEMO.device, "bleu.txt", "latency.json"),
    message:
        "{DEMO.task}, {DEMO.device}: all budgets are done"


if CACHED:

    include: "workflow/rules/data_cached.smk"

else:

    include: "workflow/rules/data.smk"


include: "workflow/rules/supertransformer.smk"
include: "workflow/rules/shortlist.smk"
include: "workflow/rules/latency.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/subtransformer.smk"
include: "workflow/rules/baseline.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/quantize.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/cost.smk"
include: "workflow/rules/store.smk"
include: "workflow/rules/published.smk"


onsuccess:
    print_tables()
