using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.Dashboard.Pages.Try;

public static class TryLinks
{
    /// <summary>Whether its files can be expected to be there and whole.</summary>
    public static bool CanBeTried(this Checkpoint checkpoint) => checkpoint.State is "good" or "final" or "pinned";

    /// <summary>The page with this checkpoint chosen.</summary>
    public static string To(string run, Checkpoint checkpoint) => string.Create(
        CultureInfo.InvariantCulture,
            $"/try?run={Uri.EscapeDataString(run)}&stage={Uri.EscapeDataString(checkpoint.Stage)}&step={checkpoint.Step}");
}
