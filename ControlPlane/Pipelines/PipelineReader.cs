using System.Collections.Immutable;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>Text to nodes. JSON is read as the YAML that it is. What could blow up (aliases, depth, size) is refused in words.</summary>
internal sealed class PipelineReader
{
    private const int CharactersMax = 1 << 20;
    private const int DepthMax = 24;
    private const int NodesMax = 20_000;

    private readonly Parser events;
    private int nodes;

    private PipelineReader(string text) => events = new Parser(new StringReader(text));

    /// <summary>The root of the text, or the one problem that keeps it from being read.</summary>
    public static (TextNode? Root, PipelineProblem? Problem) Read(string text)
    {
        if (text.Length > CharactersMax)
        {
            return (null, Refusal(1, 1, "", $"The text has {text.Length:N0} characters; a pipeline has at most {CharactersMax:N0}.",
                "Keep data in files and name them here."));
        }
        var reader = new PipelineReader(text);
        try
        {
            return (reader.Document(), null);
        }
        catch (RefusedTextException refused)
        {
            return (null, refused.Problem);
        }
        catch (YamlException wrong)
        {
            return (null, Refusal((int)wrong.Start.Line, (int)wrong.Start.Column, "", $"This is not YAML or JSON: {wrong.Message}",
                "Look at indentation, quotes, colons and brackets just before this place."));
        }
        // The parser's own guard against nesting and its character tables throw these on some broken texts.
        catch (Exception wrong) when (wrong is ArgumentException or InvalidOperationException or IndexOutOfRangeException)
        {
            var near = reader.events.Current?.End ?? new Mark();
            return (null,
                Refusal((int)near.Line, (int)near.Column, "",
                    "This is not YAML or JSON: a bracket, brace or quote here matches none before it.",
                "Close what is open, in the order it was opened; deploy/examples/mini.yaml shows the form."));
        }
    }

    private TextNode Document()
    {
        Next();
        Next();
        if (events.Current is StreamEnd)
        {
            throw Refused(events.Current, "", "The text is empty.", "Begin from deploy/examples/mini.yaml.");
        }
        Next();
        var root = Node(0);
        Next();
        if (events.Current is not StreamEnd)
        {
            throw Refused(events.Current!, "---", "There is more than one document.", "Keep one pipeline per file.");
        }
        return root;
    }

    /// <summary>The node that begins at the current event; leaves the event after it current.</summary>
    private TextNode Node(int depth)
    {
        var begin = events.Current!;
        if (depth > DepthMax)
        {
            throw Refused(begin, "", $"The text is nested deeper than {DepthMax} levels.", "A pipeline needs six.");
        }
        if (++nodes > NodesMax)
        {
            throw Refused(begin, "", $"The text has more than {NodesMax:N0} values.", "Keep data in files and name them here.");
        }
        if (begin is NodeEvent { Anchor.IsEmpty: false } or AnchorAlias)
        {
            throw Refused(begin, "", "Anchors and aliases (& and *) are not read.", "Write the value out where it is used.");
        }
        switch (begin)
        {
            case YamlDotNet.Core.Events.Scalar scalar:
                Next();
                return Text(scalar);
            case SequenceStart:
                return Sequence(begin, depth);
            case MappingStart:
                return Mapping(begin, depth);
            default:
                throw Refused(begin, "", $"Unexpected content here ({begin.GetType().Name}).", "");
        }
    }

    private TextNode.Sequence Sequence(ParsingEvent begin, int depth)
    {
        var items = ImmutableArray.CreateBuilder<TextNode>();
        Next();
        while (events.Current is not SequenceEnd)
        {
            items.Add(Node(depth + 1));
        }
        Next();
        return new TextNode.Sequence(items.ToImmutable(), (int)begin.Start.Line, (int)begin.Start.Column);
    }

    private TextNode.Mapping Mapping(ParsingEvent begin, int depth)
    {
        var entries = ImmutableArray.CreateBuilder<(TextNode.Scalar, TextNode)>();
        Next();
        while (events.Current is not MappingEnd)
        {
            var at = events.Current!;
            if (Node(depth + 1) is not TextNode.Scalar key)
            {
                throw Refused(at, "", "A key is a word, not a list or mapping.", "Write 'name: value'.");
            }
            if (key.Text == "<<")
            {
                throw Refused(at, "<<", "Merge keys (<<) are not read.", "Write the values out.");
            }
            entries.Add((key, Node(depth + 1)));
        }
        Next();
        return new TextNode.Mapping(entries.ToImmutable(), (int)begin.Start.Line, (int)begin.Start.Column);
    }

    private static TextNode.Scalar Text(YamlDotNet.Core.Events.Scalar scalar) =>
        new(scalar.Value, scalar.Style != ScalarStyle.Plain, (int)scalar.Start.Line, (int)scalar.Start.Column);

    /// <summary>Comments are no values.</summary>
    private void Next()
    {
        do
        {
            if (!events.MoveNext())
            {
                throw new YamlException("the text ends too early");
            }
        }
        while (events.Current is Comment);
    }

    private static RefusedTextException Refused(ParsingEvent at, string value, string message, string fix) =>
        new(Refusal((int)at.Start.Line, (int)at.Start.Column, value, message, fix));

    private static PipelineProblem Refusal(int line, int column, string value, string message, string fix) =>
        new(ProblemSeverity.Error, Math.Max(line, 1), Math.Max(column, 1), "", value, message, fix);

    /// <summary>Unwinds the reader from any depth to its one caller.</summary>
    private sealed class RefusedTextException(PipelineProblem problem) : Exception(problem.Message)
    {
        public PipelineProblem Problem { get; } = problem;
    }
}
