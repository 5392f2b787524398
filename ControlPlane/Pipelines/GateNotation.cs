using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>"approval", or a metric of an earlier stage with limits.</summary>
internal sealed class GateNotation : Notation<Gate>
{
    private static readonly ChoiceNotation<Gate> Approval = new(("approval", new Gate.Approval()));

    private static readonly Mapping<Gate.Metric> Metric = new Mapping<Gate.Metric>("a gate", new Gate.Metric("", "", null, null))
        .With("metric", Spell.Anything, g => g.Name, (g, v) => g with { Name = v }, "Series or evaluation whose last value counts.",
            required: true)
        .With("stage", Spell.Name, g => g.Stage, (g, v) => g with { Stage = v },
            "The earlier stage that has it; the stage before, if left out.")
        .Maybe("below", new RealNotation(-1e12, 1e12), g => g.Below, (g, v) => g with { Below = v }, "It must be less than this.")
        .Maybe("above", new RealNotation(-1e12, 1e12), g => g.Above, (g, v) => g with { Above = v }, "It must be more than this.");

    /// <summary>One gate, or a list of them.</summary>
    public static Notation<ImmutableArray<Gate>> Gates { get; } = new ShortOrFull<ImmutableArray<Gate>>(
        new ProjectedNotation<Gate, ImmutableArray<Gate>>(new GateNotation(), gate => [gate], gates => gates[0]),
        gates => gates.Length == 1,
        new ListNotation<Gate>(new GateNotation(), 0, 20, "gates"),
        node => node is not TextNode.Sequence);

    public override string InWords => "'approval', or a mapping such as {metric: loss, below: 3.0}";

    public override bool TryRead(TextNode node, string path, Reading reading, [MaybeNullWhen(false)] out Gate value)
    {
        if (node is TextNode.Scalar)
        {
            return Approval.TryRead(node, path, reading, out value);
        }
        bool read = Metric.TryRead(node, path, reading, out var metric);
        value = metric;
        return read;
    }

    public override TextNode Write(Gate value, Inheritance inherited) =>
        value is Gate.Metric metric ? Metric.Write(metric, inherited) : Approval.Write(value, inherited);

    public override JsonObject Schema() => new() { ["anyOf"] = new JsonArray(Approval.Schema(), Metric.Schema()) };
}
