using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>
/// How a value is written: one object that reads it, writes it and describes it to editors, so that the three cannot drift apart.
/// </summary>
internal abstract class Notation<T>
{
    /// <summary>What may stand here, for messages: "a count such as 4096, 4Ki or 14.8T".</summary>
    public abstract string InWords { get; }

    /// <summary>
    /// Reads a value and tells <paramref name="reading"/> what is wrong. False: nothing usable. True with problems: a part of it is
    /// missing or wrong, and the rest can still be checked.
    /// </summary>
    public abstract bool TryRead(TextNode node, string path, Reading reading, [MaybeNullWhen(false)] out T value);

    public abstract TextNode Write(T value, Inheritance inherited);

    public abstract JsonObject Schema();
}

/// <summary>A stage's own resources, layout or checkpoint policy say only what differs from the pipeline's.</summary>
internal sealed class Inheritance
{
    private readonly Dictionary<Type, object> pipeline = [];

    public bool InStage { get; set; }

    /// <summary>What is usual is written too.</summary>
    public bool Full { get; init; }

    /// <summary>Shares of a stage are written as the tokens they are.</summary>
    public bool Resolved { get; init; }

    public T Baseline<T>(T otherwise)
        where T : class => InStage && pipeline.TryGetValue(typeof(T), out object? value) ? (T)value : otherwise;

    public void Remember<T>(T value)
        where T : class
    {
        if (!InStage)
        {
            pipeline[typeof(T)] = value;
        }
    }
}

/// <summary>One pass over a text: the problems so far, and where each field stands.</summary>
internal sealed class Reading
{
    /// <summary>A text that is wrong in more places than this is not a pipeline, and nobody reads on.</summary>
    private const int ProblemsMax = 200;

    private readonly List<PipelineProblem> problems = [];
    private readonly Dictionary<string, TextNode> places = [];
    private readonly HashSet<string> broken = [];

    public Inheritance Inherited { get; } = new();

    /// <summary>Where relative paths begin. Null: they stay as written.</summary>
    public string? Folder { get; init; }

    /// <summary>Whether a file is there. Null: files are not looked for.</summary>
    public Func<string, bool>? FileExists { get; init; }

    /// <summary>It is to be trained by this version's worker; plans and simulated clusters take any layout.</summary>
    public bool Trains { get; init; }

    /// <summary>
    /// Where checkpoints go by the cluster's settings, and why workers would have no keys for a store. Null: it is not asked.
    /// </summary>
    public StoreTerms? Stores { get; init; }

    public IEnumerable<PipelineProblem> Problems => problems.OrderBy(p => p.Line).ThenBy(p => p.Column);

    public bool Failed => problems.Exists(p => p.Severity == ProblemSeverity.Error);

    public void Place(string path, TextNode node) => places[path] = node;

    /// <summary>The field is wrong by itself: what is said of it together with other fields would only confuse.</summary>
    public void Refuse(TextNode at, string path, string message, string fix, ProblemSeverity severity = ProblemSeverity.Error)
    {
        if (severity == ProblemSeverity.Error)
        {
            broken.Add(path);
        }
        if (problems.Count < ProblemsMax)
        {
            problems.Add(new PipelineProblem(severity, at.Line, at.Column, path, at.Shown, message, fix));
        }
    }

    /// <summary>Fields that are fine by themselves do not fit together. Silent where one of them is wrong already.</summary>
    public void Check(bool fits, string path, string message, string fix, string[] with, ProblemSeverity severity = ProblemSeverity.Error)
    {
        if (!fits && Sound(path) && with.All(Sound))
        {
            Refuse(PlaceOf(path), path, message, fix, severity);
        }
    }

    /// <summary>The path in full.</summary>
    public string At(string path) => string.IsNullOrEmpty(Folder) || path.Contains('\0', StringComparison.Ordinal)
        || path.Contains("://", StringComparison.Ordinal)
        ? path : Path.GetFullPath(path, Path.GetFullPath(Folder));

    /// <summary>The text has the field, whatever stands there.</summary>
    public bool Has(string path) => places.ContainsKey(path);

    /// <summary>Neither the field, nor what holds it, nor anything in it is wrong.</summary>
    public bool Sound(string path) =>
        !broken.Any(b => b == path || Holds(b, path) || Holds(path, b));

    private static bool Holds(string outer, string inner) =>
        inner.Length > outer.Length && inner.StartsWith(outer, StringComparison.Ordinal)
            && (outer.Length == 0 || inner[outer.Length] is '.' or '[');

    /// <summary>Where the field stands, or the nearest that holds it.</summary>
    private TextNode PlaceOf(string path)
    {
        while (true)
        {
            if (places.TryGetValue(path, out var node))
            {
                return node;
            }
            int cut = path.LastIndexOfAny(['.', '[']);
            path = cut < 0 ? "" : path[..cut];
        }
    }
}
