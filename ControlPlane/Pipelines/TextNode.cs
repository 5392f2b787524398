using System.Collections.Immutable;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>A part of a YAML or JSON text with its place. Lines and columns count from 1; written nodes have place 0.</summary>
internal abstract record TextNode(int Line, int Column)
{
    /// <summary>What a person sees there, short.</summary>
    public abstract string Shown { get; }

    /// <param name="Quoted">Quotes make "null" a word instead of nothing.</param>
    public sealed record Scalar(string Text, bool Quoted, int Line = 0, int Column = 0) : TextNode(Line, Column)
    {
        public bool Missing => !Quoted && Text is "" or "~" or "null" or "Null" or "NULL";

        public override string Shown => Text.Length <= 60 ? Text : Text[..57] + "...";
    }

    public sealed record Sequence(ImmutableArray<TextNode> Items, int Line = 0, int Column = 0) : TextNode(Line, Column)
    {
        public override string Shown => $"a list of {Items.Length}";
    }

    public sealed record Mapping(ImmutableArray<(Scalar Key, TextNode Value)> Entries, int Line = 0, int Column = 0) : TextNode(Line,
        Column)
    {
        public override string Shown => Entries.IsEmpty ? "{}" : $"{{{string.Join(", ", Entries.Take(4).Select(e => e.Key.Shown))}}}";
    }
}
