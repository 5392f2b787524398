using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Weights;
using ModelShape = DeepSeekOps.Decisions.Recipes.ModelShape;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>A model: the name of a preset, a preset with changes, or every hyper-parameter.</summary>
/// <param name="alsoKnown">Keys that may stand beside the shape and are read elsewhere.</param>
internal sealed class ModelNotation(params string[] alsoKnown) : Notation<ModelShape>
{
    private const string PresetKey = "preset";
    private const string MtpKey = "mtpDepth";

    /// <summary>
    /// What a preset cannot know of a folder: how far its context was extended, and what only matters to weights yet to be made.
    /// </summary>
    private static readonly string[] NotOfWeights = ["initStd", "maxPositionEmbeddings", MtpKey, "yarn"];

    /// <summary>As every published model has it, and left out without a word.</summary>
    private static readonly string[] Usual = ["yarn", "ropeInterleave", "attentionBias", "tiedEmbeddings"];

    private static readonly ChoiceNotation<ModelShape> Preset = new([.. ModelShape.Presets.Select(p => (p.Key, p.Value))]);

    private static readonly Mapping<ModelShape> Table = new Mapping<ModelShape>("a model", ModelShape.V3)
        .With("vocabSize", Spell.Int(2, ShapeLimits.VocabSize), m => m.VocabSize, (m, v) => m with { VocabSize = v },
            "Tokens that the model knows.")
        .With("hiddenSize", Spell.Int(8, ShapeLimits.HiddenSize), m => m.HiddenSize, (m, v) => m with { HiddenSize = v },
            "Width of the residual stream.")
        .With("layers", Spell.Int(1, ShapeLimits.Layers), m => m.Layers, (m, v) => m with { Layers = v },
            "Transformer layers, dense ones included.")
        .With("denseLayers", Spell.Int(0, ShapeLimits.Layers), m => m.DenseLayers, (m, v) => m with { DenseLayers = v },
            "Number of layers, from the first, that have a dense MLP.")
        .With("intermediateSize", Spell.Int(1, ShapeLimits.IntermediateSize), m => m.IntermediateSize,
            (m, v) => m with { IntermediateSize = v },
            "Width of a dense MLP.")
        .With("moeIntermediateSize", Spell.Int(1, ShapeLimits.IntermediateSize), m => m.MoeIntermediateSize,
            (m, v) => m with { MoeIntermediateSize = v },
            "Width of one expert.")
        .With("heads", Spell.Int(1, ShapeLimits.Heads), m => m.Heads, (m, v) => m with { Heads = v }, "Attention heads.")
        .With("qLoraRank", Spell.Int(0, ShapeLimits.LoraRank), m => m.QLoraRank, (m, v) => m with { QLoraRank = v },
            "Rank of the query compression; 0: none.")
        .With("kvLoraRank", Spell.Int(1, ShapeLimits.LoraRank), m => m.KvLoraRank, (m, v) => m with { KvLoraRank = v },
            "Rank of the key and value compression.")
        .With("qkNopeHeadDim", Spell.Int(1, ShapeLimits.HeadDim), m => m.QkNopeHeadDim, (m, v) => m with { QkNopeHeadDim = v },
            "Part of a head without position.")
        .With("qkRopeHeadDim", Spell.Int(2, ShapeLimits.HeadDim), m => m.QkRopeHeadDim, (m, v) => m with { QkRopeHeadDim = v },
            "Part of a head with rotary position.")
        .With("vHeadDim", Spell.Int(1, ShapeLimits.HeadDim), m => m.VHeadDim, (m, v) => m with { VHeadDim = v }, "Width of a head's value.")
        .With("routedExperts", Spell.Int(1, ShapeLimits.RoutedExperts), m => m.RoutedExperts, (m, v) => m with { RoutedExperts = v },
            "Experts among which each token is routed.")
        .With("sharedExperts", Spell.Int(0, ShapeLimits.SharedExperts), m => m.SharedExperts, (m, v) => m with { SharedExperts = v },
            "Experts that every token passes.")
        .With("activeExperts", Spell.Int(1, ShapeLimits.ActiveExperts), m => m.ActiveExperts, (m, v) => m with { ActiveExperts = v },
            "Routed experts per token.")
        .With("groups", Spell.Int(1, ShapeLimits.Groups), m => m.Groups, (m, v) => m with { Groups = v },
            "Groups of experts, one per node in training.")
        .With("limitedGroups", Spell.Int(1, ShapeLimits.Groups), m => m.LimitedGroups, (m, v) => m with { LimitedGroups = v },
            "Groups that one token may use.")
        .With("topkMethod",
            new ChoiceNotation<TopkMethod>(("noaux_tc", TopkMethod.NoauxTc), ("group_limited_greedy", TopkMethod.GroupLimitedGreedy),
            ("greedy", TopkMethod.Greedy)), m => m.TopkMethod, (m, v) => m with { TopkMethod = v },
            "How experts are chosen: V3, V2, V2-Lite.")
        .With("normTopkProb", new FlagNotation(), m => m.NormTopkProb, (m, v) => m with { NormTopkProb = v },
            "Weights of the chosen experts add up to one.")
        .With("routedScalingFactor", new RealNotation(0, ShapeLimits.RoutedScalingFactor, aboveMin: true), m => m.RoutedScalingFactor,
            (m, v) => m with { RoutedScalingFactor = v }, "Factor on the routed experts' output.")
        .With(MtpKey, Spell.Int(0, ShapeLimits.MtpDepth), m => m.MtpDepth, (m, v) => m with { MtpDepth = v },
            "Further tokens predicted at each place.")
        .With("ropeTheta", new RealNotation(1, ShapeLimits.RopeTheta), m => m.RopeTheta, (m, v) => m with { RopeTheta = v },
            "Base of the rotary position.")
        .With("rmsNormEps", new RealNotation(0, ShapeLimits.RmsNormEps, aboveMin: true), m => m.RmsNormEps,
            (m, v) => m with { RmsNormEps = v },
            "Added to the mean square in RMSNorm.")
        .With("initStd", new RealNotation(0, ShapeLimits.InitStd, aboveMin: true), m => m.InitStd, (m, v) => m with { InitStd = v },
            "Standard deviation of the random weights.")
        .With("maxPositionEmbeddings", Spell.Int(1, ShapeLimits.Positions), m => m.MaxPositionEmbeddings,
            (m, v) => m with { MaxPositionEmbeddings = v },
            "Longest sequence before any extension.")
        .MaybeRecord("yarn", Spell.Yarn, m => m.Yarn, (m, v) => m with { Yarn = v }, "Stretching of positions before any extension.")
        .With("ropeInterleave", new FlagNotation(), m => m.RopeInterleave, (m, v) => m with { RopeInterleave = v },
            "Neighbours rotate as pairs, as in all published models; false: halves.")
        .With("attentionBias", new FlagNotation(), m => m.AttentionBias, (m, v) => m with { AttentionBias = v },
            "The attention's projections add a bias.")
        .With("tiedEmbeddings", new FlagNotation(), m => m.TiedEmbeddings, (m, v) => m with { TiedEmbeddings = v },
            "The output head is the embedding.");

    public static IEnumerable<(string Name, string InWords, bool Required, string Doc)> Fields =>
        Table.Fields.Select(f => (f.Name, f.InWords, f.Required, f.Doc)).Prepend((PresetKey, Preset.InWords, false, PresetDoc));

    private static string PresetDoc => "Where the hyper-parameters begin; the others change it. Without it all of them are needed.";

    public override string InWords => $"a preset ({Preset.InWords}) or a model's hyper-parameters";

    public override bool TryRead(TextNode node, string path, Reading reading, [MaybeNullWhen(false)] out ModelShape value)
    {
        if (node is TextNode.Scalar)
        {
            return Preset.TryRead(node, path, reading, out value);
        }
        reading.Place(path, node);
        value = ModelShape.V3;
        if (node is not TextNode.Mapping mapping)
        {
            reading.Refuse(node, path, "Expected a model here.", $"Write {InWords}.");
            return false;
        }
        CheckKeys(mapping, path, reading);
        if (mapping.Entries.FirstOrDefault(e => e.Key.Text == PresetKey).Value is { } preset)
        {
            value = Preset.TryRead(preset, MappingKeys.Path(path, PresetKey), reading, out var begin) ? begin : value;
        }
        else if (Table.Fields.Where(f => !Usual.Contains(f.Name) && !Has(mapping, f.Name)).Select(f => f.Name)
            .ToArray() is { Length: > 0 } absent)
        {
            reading.Refuse(node,
                path, $"The model has no preset, and {absent.Length} hyper-parameters are missing: {string.Join(", ", absent)}.",
                $"Add 'preset:' with {Preset.InWords}; write only what differs from it.");
        }
        Table.ReadFields(mapping, path, reading, ref value);
        return true;
    }

    /// <summary>The text alone says the whole shape.</summary>
    public static bool IsComplete(TextNode.Mapping mapping) =>
        Has(mapping, PresetKey) || Table.Fields.All(f => Usual.Contains(f.Name) || Has(mapping, f.Name));

    /// <summary>
    /// The shape of published weights, where the text may say it again. More MTP modules than there are may be asked for: they are new.
    /// </summary>
    /// <param name="file">Where the shape was read.</param>
    public ModelShape ReadBeside(ModelShape published, string file, TextNode.Mapping mapping, string path, Reading reading)
    {
        CheckKeys(mapping, path, reading);
        if (mapping.Entries.FirstOrDefault(e => e.Key.Text == PresetKey).Value is { } node
            && Preset.TryRead(node, MappingKeys.Path(path, PresetKey), reading, out var preset))
        {
            string[] others =
                [.. Table.Fields.Where(f => !NotOfWeights.Contains(f.Name) && !Has(mapping, f.Name) && Differs(f, preset, published))
                .Select(f => $"{f.Name} {Said(f, published)} instead of {Said(f, preset)}")];
            reading.Check(others.Length == 0, MappingKeys.Path(path, PresetKey), $"{file} has another shape: {string.Join(", ", others)}.",
                "Leave 'preset' out: the folder says the shape.", []);
        }
        var written = published;
        Table.ReadFields(mapping, path, reading, ref written);
        foreach (var field in Table.Fields.Where(f => Has(mapping, f.Name) && Differs(f, written, published)))
        {
            bool newModules = field.Name == MtpKey && written.MtpDepth > published.MtpDepth;
            reading.Check(newModules, MappingKeys.Path(path, field.Name), $"{file} says {Said(field, published)}.",
                "Write the same, or leave it out: the folder says the shape.", []);
        }
        return written;
    }

    /// <summary>As beside a folder: complete, so that it can be read where the folder is not to be seen.</summary>
    public IEnumerable<(TextNode.Scalar, TextNode)> WriteBeside(ModelShape value, Inheritance inherited)
    {
        var entries = ((TextNode.Mapping)Write(value, inherited)).Entries;
        var full = new Inheritance { Full = true };
        return [.. entries, .. Table.Fields.Where(f => NotOfWeights.Contains(f.Name) && entries.All(e => e.Key.Text != f.Name))
            .Select(f => (new TextNode.Scalar(f.Name, false), Node: f.Write(value, value, full))).Where(f => f.Node is not null)
            .Select(f => (f.Item1, f.Node!))];
    }

    private void CheckKeys(TextNode.Mapping mapping, string path, Reading reading) =>
        MappingKeys.Check(mapping, path, reading, [.. Table.Fields.Select(f => f.Name), PresetKey, .. alsoKnown], "a model");

    private static bool Has(TextNode.Mapping mapping, string key) => mapping.Entries.Any(e => e.Key.Text == key);

    private static bool Differs(Field<ModelShape> field, ModelShape one, ModelShape other) =>
        field.Write(one, other, new Inheritance()) is not null;

    private static string Said(Field<ModelShape> field, ModelShape shape) =>
        field.Write(shape, shape, new Inheritance { Full = true }) switch
        {
            null => "none",
            TextNode.Scalar scalar => scalar.Text,
            var node => YamlText.Line(node)
        };

    /// <summary>As the preset that needs the fewest changes.</summary>
    public override TextNode Write(ModelShape value, Inheritance inherited)
    {
        var (name, changes) = ModelShape.Presets
            .Select(p => (p.Key, Changes: Table.WriteFields(value, p.Value, inherited).ToArray()))
            .MinBy(p => p.Changes.Length);
        return new TextNode.Mapping([(new TextNode.Scalar(PresetKey, false), new TextNode.Scalar(name, false)), .. changes]);
    }

    public override JsonObject Schema() => Schema([]);

    public static JsonObject Schema(params ReadOnlySpan<(string Name, JsonObject Schema)> beside)
    {
        var preset = Preset.Schema();
        preset["description"] = PresetDoc;
        var full = MappingKeys.Schema([.. beside, (PresetKey, preset), .. Table.Fields.Select(f => (f.Name, f.Schema()))], []);
        return new JsonObject { ["anyOf"] = new JsonArray(Preset.Schema(), full) };
    }
}
