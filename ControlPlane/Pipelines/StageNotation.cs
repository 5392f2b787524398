using System.Collections.Immutable;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>A stage: what all kinds share, and the table of its kind's recipe, side by side in one mapping.</summary>
internal sealed class StageNotation : Notation<StageSpec>
{
    private const string KindKey = "kind";

    private static readonly Mapping<StageSpec> Common = new Mapping<StageSpec>("a stage", new StageSpec())
        .With("name", Spell.Name, s => s.Name, (s, v) => s with { Name = v }, "The stage's name, once in a pipeline.", required: true)
        .With("from", Spell.Name, s => s.BeginFrom, (s, v) => s with { BeginFrom = v },
            "Earlier stage whose last checkpoint it begins with; the stage before, if left out.")
        .With("gate", GateNotation.Gates, s => s.Gates, (s, v) => s with { Gates = v }, "What must hold before it begins.")
        .MaybeRecord("resources", Spell.Resources, s => s.Resources, (s, v) => s with { Resources = v },
            "Where it differs from the pipeline's.")
        .MaybeRecord("parallelism", Spell.Parallelism, s => s.Parallelism, (s, v) => s with { Parallelism = v },
            "Where it differs from the pipeline's.")
        .MaybeRecord("checkpoints", Spell.Checkpoints, s => s.Checkpoints, (s, v) => s with { Checkpoints = v },
            "Where it differs from the pipeline's.");

    private static readonly ImmutableArray<RecipeTable> Kinds =
    [
        new RecipeTable<StageRecipe.Pretraining>(RecipeNotation.Pretraining, new StageRecipe.Pretraining()),
        new RecipeTable<StageRecipe.ContextExtension>(RecipeNotation.ContextExtension, new StageRecipe.ContextExtension()),
        new RecipeTable<StageRecipe.SupervisedFineTuning>(RecipeNotation.SupervisedFineTuning, new StageRecipe.SupervisedFineTuning()),
        new RecipeTable<StageRecipe.ReinforcementLearning>(RecipeNotation.ReinforcementLearning, new StageRecipe.ReinforcementLearning()),
        new RecipeTable<StageRecipe.Distillation>(RecipeNotation.Distillation, new StageRecipe.Distillation()),
    ];

    private static readonly ChoiceNotation<RecipeTable> Kind = new([.. Kinds.Select(k => (k.Kind, k))]);

    public override string InWords => $"a stage of kind {string.Join(", ", Kinds.Select(k => k.Kind))}";

    /// <summary>The table of one kind, for docs/pipeline.md.</summary>
    public static IEnumerable<(string Kind, IEnumerable<(string Name, string InWords, bool Required, string Doc)> Fields)> Tables =>
        Kinds.Select(k => (k.Kind, k.Lines)).Prepend(("of every kind", Common.Fields.Select(f => (f.Name, f.InWords, f.Required, f.Doc))
            .Prepend((KindKey, Kind.InWords, true, "What the stage does."))));

    public override bool TryRead(TextNode node, string path, Reading reading, [MaybeNullWhen(false)] out StageSpec value)
    {
        value = new StageSpec();
        reading.Place(path, node);
        if (node is not TextNode.Mapping mapping)
        {
            reading.Refuse(node, path, "Expected a stage here.", "Write 'name:', 'kind:' and what the kind needs.");
            return true;
        }
        reading.Inherited.InStage = true;
        ReadRecipe(mapping, path, reading, ref value);
        Common.ReadFields(mapping, path, reading, ref value);
        reading.Inherited.InStage = false;
        return true;
    }

    private static void ReadRecipe(TextNode.Mapping mapping, string path, Reading reading, ref StageSpec value)
    {
        string at = MappingKeys.Path(path, KindKey);
        var node = mapping.Entries.FirstOrDefault(e => e.Key.Text == KindKey).Value;
        if (node is null)
        {
            reading.Refuse(mapping, at, "The stage has no kind.", $"Add 'kind:' with {Kind.InWords}.");
        }
        else if (Kind.TryRead(node, at, reading, out var table))
        {
            MappingKeys.Check(mapping, path, reading,
                [KindKey, .. Common.Fields.Select(f => f.Name), .. table.Keys], $"a {table.Kind} stage");
            value = value with { Recipe = table.Read(mapping, path, reading) };
        }
    }

    public override TextNode Write(StageSpec value, Inheritance inherited)
    {
        var table = Kinds.First(k => k.Kind == value.Kind);
        inherited.InStage = true;
        var common = Common.WriteFields(value, new StageSpec(), inherited).ToArray();
        var node = new TextNode.Mapping(
        [
            common[0], (new TextNode.Scalar(KindKey, false), new TextNode.Scalar(value.Kind, false)), .. common[1..],
            .. table.Write(value.Recipe, inherited),
        ]);
        inherited.InStage = false;
        return node;
    }

    public override JsonObject Schema() => new() { ["anyOf"] = new JsonArray([.. Kinds.Select(SchemaOf)]) };

    private static JsonObject SchemaOf(RecipeTable table)
    {
        var kind = new JsonObject { ["const"] = table.Kind, ["description"] = "What the stage does." };
        return MappingKeys.Schema(
            [.. Common.Fields.Select(f => (f.Name, f.Schema())), (KindKey, kind), .. table.Properties],
            ["name", KindKey, .. table.Required]);
    }

    /// <summary>The recipes' tables have different types; a stage needs one handle on whichever it has.</summary>
    private abstract class RecipeTable
    {
        public abstract string Kind { get; }

        public abstract IEnumerable<string> Keys { get; }

        public abstract IEnumerable<string> Required { get; }

        public abstract IEnumerable<(string Name, JsonObject Schema)> Properties { get; }

        public abstract IEnumerable<(string Name, string InWords, bool Required, string Doc)> Lines { get; }

        public abstract StageRecipe Read(TextNode.Mapping mapping, string path, Reading reading);

        public abstract IEnumerable<(TextNode.Scalar, TextNode)> Write(StageRecipe recipe, Inheritance inherited);
    }

    private sealed class RecipeTable<T>(Mapping<T> table, T empty) : RecipeTable
        where T : StageRecipe
    {
        public override string Kind => empty.Kind;

        public override IEnumerable<string> Keys => table.Fields.Select(f => f.Name);

        public override IEnumerable<string> Required => table.Fields.Where(f => f.Required).Select(f => f.Name);

        public override IEnumerable<(string Name, JsonObject Schema)> Properties => table.Fields.Select(f => (f.Name, f.Schema()));

        public override IEnumerable<(string Name, string InWords, bool Required, string Doc)> Lines =>
            table.Fields.Select(f => (f.Name, f.InWords, f.Required, f.Doc));

        public override StageRecipe Read(TextNode.Mapping mapping, string path, Reading reading)
        {
            var value = empty;
            table.ReadFields(mapping, path, reading, ref value);
            return value;
        }

        public override IEnumerable<(TextNode.Scalar, TextNode)> Write(StageRecipe recipe, Inheritance inherited) =>
            table.WriteFields(recipe as T ?? throw new UnreachableException($"recipe {recipe.Kind}"), empty, inherited);
    }
}
