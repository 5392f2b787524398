using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>The model of a pipeline: its shape, and where its first weights are.</summary>
internal sealed record InitialModel(ModelShape Shape, PublishedCheckpoint? From);

/// <summary>
/// A model, or a folder whose weights the first stage begins with. The folder knows the shape; what is said beside it has to agree.
/// Where the folder is not to be seen, as on another machine, what is said beside it is the shape.
/// </summary>
internal sealed class InitialModelNotation : Notation<InitialModel>
{
    private const string FromKey = "from";

    private const string FromDoc =
        "Folder with config.json and safetensors whose weights the first stage begins with. It gives the shape; what else is "
            + "written here has to agree.";

    private static readonly ModelNotation Shape = new(FromKey);

    public static IEnumerable<(string Name, string InWords, bool Required, string Doc)> Fields =>
        ModelNotation.Fields.Prepend((FromKey, Spell.Anything.InWords, false, FromDoc));

    public override string InWords => $"{Shape.InWords}, or 'from' with a folder of weights";

    public override bool TryRead(TextNode node, string path, Reading reading, [MaybeNullWhen(false)] out InitialModel value)
    {
        if (node is not TextNode.Mapping mapping || mapping.Entries.FirstOrDefault(e => e.Key.Text == FromKey).Value is not { } from)
        {
            bool read = Shape.TryRead(node, path, reading, out var alone);
            value = read ? new InitialModel(alone!, null) : null;
            return read;
        }
        string at = MappingKeys.Path(path, FromKey);
        value = new InitialModel(ModelShape.V3, null);
        reading.Place(path, node);
        if (Spell.Anything.TryRead(from, at, reading, out string? written))
        {
            string folder = reading.At(written);
            var (shape, digest) = ShapeOf(folder, from, mapping, path, reading);
            value = new InitialModel(shape, new PublishedCheckpoint(folder, digest));
        }
        return true;
    }

    private static (ModelShape Shape, string Digest) ShapeOf(string folder, TextNode from, TextNode.Mapping mapping, string path,
        Reading reading)
    {
        string at = MappingKeys.Path(path, FromKey);
        if (reading.FileExists is not null && !Path.IsPathRooted(folder))
        {
            reading.Refuse(from, at, $"'{folder}' is a relative path, and this text comes from no file whose folder it could begin at.",
                "Write the whole path, as the control plane and the workers see it.");
            return (ModelShape.V3, "");
        }
        if (PublishedFolder.IsSeen(folder))
        {
            var (shape, digest, problem) = PublishedFolder.Read(folder);
            if (shape is not null)
            {
                return (Shape.ReadBeside(shape, PublishedFolder.ConfigOf(folder), mapping, path, reading), digest);
            }
            reading.Refuse(from, at, problem.Message, problem.Fix);
            return (ModelShape.V3, "");
        }
        if (reading.FileExists is { } exists && !exists(PublishedFolder.ConfigOf(folder)))
        {
            reading.Refuse(from, at, $"There is no config.json in '{folder}'.",
                "Name a folder that the control plane and the workers see; a relative path begins at this file's folder.");
            return (ModelShape.V3, "");
        }
        if (!ModelNotation.IsComplete(mapping))
        {
            reading.Refuse(from, at, $"'{folder}' cannot be seen from here, so that the shape of its model is not known.",
                "Add 'preset:', and write what differs from it; or do this where the folder is.");
            return (ModelShape.V3, "");
        }
        return (Shape.TryRead(mapping, path, reading, out var told) ? told : ModelShape.V3, "");
    }

    public override TextNode Write(InitialModel value, Inheritance inherited) => value.From is null ? Shape.Write(value.Shape, inherited)
        : new TextNode.Mapping([(new TextNode.Scalar(FromKey, false), Spell.Anything.Write(value.From.Folder, inherited)),
            .. Shape.WriteBeside(value.Shape, inherited)]);

    public override JsonObject Schema()
    {
        var from = Spell.Anything.Schema();
        from["description"] = FromDoc;
        return ModelNotation.Schema((FromKey, from));
    }
}
