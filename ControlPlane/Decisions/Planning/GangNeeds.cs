using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>What the plan tells placement of a stage, reckoned once when the run is submitted.</summary>
public sealed record GangNeeds
{
    /// <summary>A grace shorter than this would end a gang that is merely busy.</summary>
    private static readonly TimeSpan ShortestSave = TimeSpan.FromSeconds(30);

    /// <summary>Candidates for a smaller gang that are planned through; layouts fit few of them.</summary>
    private const int OptionsAtMost = 16;

    /// <summary>The whole stage, with what failures are expected to cost. Null: the pipeline names no GPU to plan with.</summary>
    public TimeSpan? Expected { get; init; }

    /// <inheritdoc cref="GangRequest.ExpectedError"/>
    public double ExpectedError { get; init; }

    /// <inheritdoc cref="GangRequest.GroupNodes"/>
    public int GroupNodes { get; init; } = 1;

    public TimeSpan SaveTime { get; init; } = ShortestSave;

    /// <inheritdoc cref="GangRequest.Group"/>
    public string Group { get; init; } = "";

    public ImmutableArray<NodeOption> Options { get; init; } = [];

    public static GangNeeds Of(PipelineSpec pipeline, StageSpec stage)
    {
        var forecast = StageForecasts.Of(pipeline, stage);
        var resources = pipeline.ResourcesOf(stage);
        var layout = pipeline.ParallelismOf(stage);
        var save = TimeSpan.FromSeconds(Math.Min(forecast.CheckpointSeconds, TimeSpan.FromHours(1).TotalSeconds));
        return new GangNeeds
        {
            Expected = forecast.Duration is { } duration && duration < TimeSpan.FromDays(36_500)
                ? duration / Math.Max(0.1, forecast.Failures?.Ettr ?? 1) : null,
            ExpectedError = stage.Recipe.StatedError,
            GroupNodes = Math.Max(1, layout.Expert / Math.Max(1, resources.RanksPerNode)),
            SaveTime = save > ShortestSave ? save : ShortestSave,
            Group = resources.Group,
            Options = forecast.Duration is { } whole ? [.. Smaller(pipeline, stage, whole)] : [],
        };
    }

    private static IEnumerable<NodeOption> Smaller(PipelineSpec pipeline, StageSpec stage, TimeSpan whole)
    {
        var resources = pipeline.ResourcesOf(stage);
        var layout = pipeline.ParallelismOf(stage);
        return Enumerable.Range(1, resources.Nodes - 1).Reverse().Where(nodes => layout.Fits(nodes * resources.RanksPerNode))
            .Take(OptionsAtMost)
            .Select(nodes =>
                (Nodes: nodes, Forecast: StageForecasts.Of(pipeline, stage with { Resources = resources with { Nodes = nodes } })))
            .Where(f => f.Forecast is { Duration: not null, Memory: { } memory } && memory.Total <= memory.Capacity)
            .Select(f => new NodeOption(f.Nodes, ((f.Forecast.Duration ?? whole) / whole) - 1));
    }
}
