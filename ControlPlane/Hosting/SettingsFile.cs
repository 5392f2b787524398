using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Recipes;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>--cluster-settings FILE.</summary>
internal static class SettingsFile
{
    private const int BytesMax = 1 << 20;

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
}
