using System.Text.RegularExpressions;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Recipes;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>--cluster-settings FILE.</summary>
internal static partial class SettingsFile
{
    public const int BytesMax = 1 << 20;

    /// <summary>A file that cannot be used is said before anything is started, with all that is wrong in it.</summary>
    public static async Task<ClusterSettings> Read(string? file, int? nodes, CancellationToken cancellation)
    {
        if (file is null)
        {
            return new ClusterSettings();
        }

        string text;
        try
        {
            text = await FileLooks.ReadText(file, BytesMax, cancellation);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or BadInputException)
        {
            throw new RefusalException($"--cluster-settings {file} cannot be read: {e.Message}", "Begin from deploy/examples/cluster.yaml.",
                ExitCode.Failed, e);
        }

        var parse = ClusterSettingsText.Parse(text, nodes);
        return parse.Settings ?? throw new RefusalException(
            string.Join('\n', parse.Problems.Select(p => $"{file}:{p}")), "Correct the places named; docs/cluster.md has every field.",
            ExitCode.Failed);
    }

    /// <summary>Whether it has a part for Kubernetes, whatever else is wrong with it.</summary>
    public static async Task<bool> NamesKubernetes(string? file, CancellationToken cancellation)
    {
        try
        {
            return file is not null && Part().IsMatch(await FileLooks.ReadText(file, BytesMax, cancellation));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or BadInputException)
        {
            // Who reads it for what stands in it says why.
            return false;
        }
    }

    [GeneratedRegex("^\\s{0,2}\"?kubernetes\"?\\s*:", RegexOptions.Multiline)]
    private static partial Regex Part();
}
