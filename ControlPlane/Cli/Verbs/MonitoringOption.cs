using System.CommandLine;
using System.Net;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>Where a Prometheus on another machine finds the control plane.</summary>
internal static class MonitoringOption
{
    public static Option<string?> New()
    {
        var monitoring = new Option<string?>("--monitoring")
        {
            Description = "Address and port where /metrics, /livez and /readyz, and nothing else, are answered to other machines, such as "
                + "0.0.0.0:5083. By TLS, but on loopback: with the certificate of --https-cert, or one that proves nothing. Default: on "
                + "the dashboard's port alone.",
            HelpName = "ADDRESS:PORT",
        };
        monitoring.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && !(IPEndPoint.TryParse(token.Value, out var address) && address.Port > 0))
            {
                result.AddError($"--monitoring is '{token.Value}'; write an IP address and a port, such as 0.0.0.0:5083.");
            }
        });
        return monitoring;
    }

    public static IPEndPoint? Of(string? address) => address is null ? null : IPEndPoint.Parse(address);
}
