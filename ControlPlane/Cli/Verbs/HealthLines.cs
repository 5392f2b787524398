using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>
/// What is wrong with the control plane, said before what it shows. On standard error, so that a list that is piped stays one.
/// </summary>
internal static class HealthLines
{
    public static async Task Write(OpsService.OpsServiceClient client, Terminal terminal, CancellationToken cancellation)
    {
        var health = await client.GetHealthAsync(new GetHealthRequest(), ControlPlaneConnection.Options(cancellation));
        foreach (var problem in health.Problems)
        {
            await terminal.Error.WriteLineAsync(Columns.Clean($"{problem.Level}: {problem.Text} {problem.Fix}"));
        }
    }

    /// <summary>" (as of 21:17:21 UTC)" after what could not be decided anew since.</summary>
    public static string AsOf(Google.Protobuf.WellKnownTypes.Timestamp? at) =>
        at is null ? "" : $" (as of {at.ToDateTimeOffset().ToString("HH:mm:ss", System.Globalization.CultureInfo.InvariantCulture)} UTC)";
}
