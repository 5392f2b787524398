using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>A checked pipeline, or what is wrong with the text. Warnings may stand beside a pipeline.</summary>
public sealed record PipelineParse(PipelineSpec? Spec, ImmutableArray<PipelineProblem> Problems)
{
    public IEnumerable<PipelineProblem> Errors => Problems.Where(p => p.Severity == ProblemSeverity.Error);

    public IEnumerable<PipelineProblem> Warnings => Problems.Where(p => p.Severity == ProblemSeverity.Warning);
}

/// <summary>The text form of a pipeline: YAML, or the same as JSON.</summary>
public static class PipelineText
{
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true, IndentSize = 1,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping
    };

    /// <summary>Reads and checks a pipeline; all problems at once, in the order of the text.</summary>
    /// <param name="folder">Where relative paths of data begin: the file's own folder. Null: they stay as written.</param>
    /// <param name="fileExists">Whether a data file is there. Null: files are not looked for.</param>
    /// <param name="name">Takes the place of the name in the text.</param>
    /// <param name="settings">Take the place of values in the text.</param>
    /// <param name="trains">It is to be trained by this version's worker, and not only planned or simulated.</param>
    /// <param name="stores">What is known of stores where it is to be trained. Null: it is not asked.</param>
    public static PipelineParse Parse(
        string text, string? folder = null, Func<string, bool>? fileExists = null, string? name = null,
        IReadOnlyList<PipelineSetting>? settings = null,
        bool trains = false, StoreTerms? stores = null)
    {
        var (root, unreadable) = PipelineReader.Read(text);
        if (root is null)
        {
            return new PipelineParse(null, [unreadable!]);
        }
        var reading = new Reading { Folder = folder, FileExists = fileExists, Trains = trains, Stores = stores };
        reading.Place("", root);
        root = (settings ?? []).Aggregate(root, (now, setting) => setting.In(now, reading));
        if (PipelineNotation.Pipeline.TryRead(Named(root, name), "", reading, out var spec))
        {
            spec = DataPaths.Resolve(Whole(spec), reading);
            PipelineChecks.Check(spec, reading);
            DataPaths.Check(spec, reading);
        }
        return new PipelineParse(reading.Failed ? null : spec, [.. reading.Problems]);
    }

    /// <summary>What is said where a file that the text names does not answer.</summary>
    public static PipelineParse Silent(string path)
    {
        var (message, fix) = FileLooks.Silence(path);
        return new PipelineParse(null, [new PipelineProblem(ProblemSeverity.Error, 1, 1, "", path, message, fix)]);
    }

    /// <summary>As a person might have written it, without what is usual anyway. Reading it gives the same record.</summary>
    public static string ToYaml(PipelineSpec spec) =>
        YamlText.Of((TextNode.Mapping)PipelineNotation.Pipeline.Write(spec, new Inheritance()));

    /// <summary>JSON Schema by which editors complete and check a pipeline file.</summary>
    public static string Schema()
    {
        var schema = PipelineNotation.Pipeline.Schema();
        schema.Insert(0, "$schema", "https://json-schema.org/draft/2020-12/schema");
        schema.Insert(1, "title", "A DeepSeekOps training pipeline");
        return schema.ToJsonString(Indented) + "\n";
    }

    /// <summary>Every field in words, as Markdown: docs/pipeline.md.</summary>
    public static string Reference()
    {
        var text = new StringBuilder("# The pipeline file\n\nWritten from the table that reads it. Examples: deploy/examples.\n");
        foreach (var (title, fields) in PipelineNotation.Tables)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {title}\n\n| field | value | |\n|---|---|---|\n");
            foreach (var (field, inWords, required, doc) in fields)
            {
                string needed = required ? " **Needed.**" : "";
                text.Append(
                    CultureInfo.InvariantCulture, $"| `{field}` | {doc}{needed} | "
                        + $"{inWords.Replace("|", "\\|", StringComparison.Ordinal)} |\n");
            }
            text.Append(PipelineProse.After(title));
        }
        return text.ToString();
    }

    /// <summary>A name from outside is read as if it stood in the text, so that it is checked like any other.</summary>
    private static TextNode Named(TextNode root, string? name)
    {
        if (string.IsNullOrEmpty(name) || root is not TextNode.Mapping mapping)
        {
            return root;
        }
        var place = mapping.Entries.FirstOrDefault(e => e.Key.Text == "name").Key
            ?? new TextNode.Scalar("name", false, root.Line, root.Column);
        var value = new TextNode.Scalar(name, true, place.Line, place.Column);
        return mapping with { Entries = [.. mapping.Entries.Where(e => e.Key.Text != "name"), (place, value)] };
    }

    /// <summary>
    /// What a stage leaves to its surroundings: a gate that names no stage means the one before, a share is one of the stage's tokens.
    /// </summary>
    private static PipelineSpec Whole(PipelineSpec spec) => spec with
    {
        Stages = [.. spec.Stages.Select((stage, i) => stage with
        {
            Recipe = stage.Recipe.WithoutShares(),
            Gates = [.. stage.Gates.Select(
                g => g is Gate.Metric { Stage: "" } m && i > 0 ? m with { Stage = spec.Stages[i - 1].Name } : g)],
        })],
    };
}
