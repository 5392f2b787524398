using System.CommandLine;
using System.Net;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>What `serve` is told where it is not the only one on its database.</summary>
internal static class SeveralOptions
{
    public static Option<bool> Deputy(Option<string> cluster)
    {
        var deputy = new Option<bool>("--deputy")
        {
            Description = "Wait while another control plane has the PostgreSQL database, and take over when it ends or hangs: "
                + "docs/operating.md. Default: such a start is refused.",
        };
        deputy.Validators.Add(result =>
        {
            // A flag that nobody wrote is asked too.
            if (!result.Implicit && result.GetValue(cluster) != "kubernetes")
            {
                result.AddError($"--deputy with --cluster {result.GetValue(cluster)} has nothing to take over: those nodes are of one "
                    + "process and end with it. Leave it out.");
            }
        });
        return deputy;
    }

    public static Option<string?> Silo(Option<string> cluster, Option<bool> deputy)
    {
        var silo = new Option<string?>("--silo")
        {
            Description = "Be one of several control planes that work at the same time on one PostgreSQL database; the others reach this "
                + "one at this address, by the key of --key-file: docs/operating.md. Default: it works alone.",
            HelpName = "ADDRESS:PORT",
        };
        silo.Validators.Add(result =>
        {
            if (result.Tokens is not [var token])
            {
                return;
            }

            if (!IPEndPoint.TryParse(token.Value, out var address) || address.Port == 0)
            {
                result.AddError($"--silo is '{token.Value}'; write this machine's IP address and a port, such as 10.0.0.5:5083.");
            }
            else if (address.Address.Equals(IPAddress.Any) || address.Address.Equals(IPAddress.IPv6Any))
            {
                result.AddError($"--silo is '{token.Value}', which cannot be reached; write the address that the others reach.");
            }

            if (result.GetValue(cluster) != "kubernetes")
            {
                result.AddError($"--silo with --cluster {result.GetValue(cluster)} is not possible: those nodes are of one process. Leave "
                    + "it out.");
            }

            if (result.GetValue(deputy))
            {
                result.AddError("--silo works and --deputy waits: leave one of them out.");
            }
        });
        return silo;
    }
}
