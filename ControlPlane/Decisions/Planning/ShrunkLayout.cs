using System.Globalization;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>How a stage gets by with fewer nodes.</summary>
public enum ShrinkWay
{
    /// <summary>Whole replicas are dropped: fewer ranks take more micro-batches each.</summary>
    FewerReplicas = 0,
    /// <summary>The same, and fewer ranks share the experts, each with more of them: all of them as many.</summary>
    ExpertsDealtAnew = 1,
    /// <summary>
    /// The experts of the lost nodes are dealt to the other nodes of their pipeline step, which leaves shares of different size.
    /// </summary>
    ExpertsDealtUnevenly = 2,
}

/// <summary>A stage's layout on fewer nodes: the same model, the same global batch, the same order of data.</summary>
/// <param name="Of">Nodes of the whole layout.</param>
/// <param name="Expert">Ranks that share the experts of a layer.</param>
/// <param name="Replicas">Whole models in it: dp of what people write, over that of the experts.</param>
/// <param name="Rate">Of the whole layout's pace.</param>
/// <param name="ByPlan">The pace is the plan's for the named GPU; otherwise it is the share of the ranks.</param>
public sealed record ShrunkLayout(int Nodes, int Of, ShrinkWay Way, int Expert, int Replicas, int OfReplicas, double Rate, bool ByPlan)
{
    /// <summary>No worker of ours can train so: ranks that share experts have equal shares. Only simulated ones do.</summary>
    [JsonIgnore]
    public bool OnlySimulated => Way == ShrinkWay.ExpertsDealtUnevenly;

    /// <summary>"3 of 4 nodes, 3 of 4 replicas".</summary>
    [JsonIgnore]
    public string InWords => Way switch
    {
        ShrinkWay.FewerReplicas => $"{Nodes} of {Of} nodes, {Replicas} of {OfReplicas} replicas",
        ShrinkWay.ExpertsDealtAnew => $"{Nodes} of {Of} nodes, the experts regrouped in groups of "
            + Words.Count(Expert, "rank", "ranks"),
        _ => $"{Nodes} of {Of} nodes, the lost ones' experts dealt to the others of their pipeline step",
    };

    /// <summary>"75 % of its rate, by the plan".</summary>
    [JsonIgnore]
    public string RateInWords =>
        string.Create(CultureInfo.InvariantCulture, $"{100 * Rate:0.#} % of its rate, {(ByPlan ? "by the plan" : "by its ranks")}")
        + (OnlySimulated ? ", simulated" : "");

    /// <summary>The pipeline as its ranks are to run the stage: nothing of the recipe is another.</summary>
    public PipelineSpec Apply(PipelineSpec pipeline, string stage) => pipeline with
    {
        Stages = [.. pipeline.Stages.Select(s => s.Name != stage ? s : s with
        {
            Resources = pipeline.ResourcesOf(s) with { Nodes = Nodes },
            Parallelism = pipeline.ParallelismOf(s) with { Expert = Expert },
        })],
    };
}
