namespace DeepSeekOps.Decisions;

/// <summary>A stage of a run. Its text, "run/stage", is the key of its grain and the prefix of its files.</summary>
public readonly record struct StageId(string Run, string Stage)
{
    public override string ToString() => $"{Run}/{Stage}";

    public static StageId Parse(string text)
    {
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        return slash > 0 ? new StageId(text[..slash], text[(slash + 1)..]) : throw new FormatException($"'{text}' is not run/stage.");
    }
}

/// <summary>A machine with GPUs ("slots"), by the cluster's own name for it.</summary>
public readonly record struct NodeId(string Name)
{
    public override string ToString() => Name;
}
