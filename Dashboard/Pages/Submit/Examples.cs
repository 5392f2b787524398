using System.Collections.Immutable;

namespace DeepSeekOps.Dashboard.Pages.Submit;

/// <summary>The pipelines of deploy/examples, built into the assembly; first the one that runs on any machine.</summary>
public static class Examples
{
    private const string Folder = "examples/";

    public static readonly ImmutableArray<string> Names =
        [.. typeof(Examples).Assembly.GetManifestResourceNames()
            .Where(n => n.StartsWith(Folder, StringComparison.Ordinal)).Select(n => n[Folder.Length..])
            .OrderBy(n => n == "mini" ? 0 : 1).ThenBy(n => n, StringComparer.Ordinal)];

    public static string? Text(string name)
    {
        using var stream = typeof(Examples).Assembly.GetManifestResourceStream(Folder + name);
        if (stream is null)
        {
            return null;
        }
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
