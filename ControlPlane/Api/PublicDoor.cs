using System.Collections.Immutable;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>The port where people of other machines come in, by names that its operator gave it.</summary>
internal sealed record PublicDoor(int Port, ImmutableArray<string> Hosts)
{
    public string InWords => string.Join(" and ", Hosts);

    /// <summary>Where a caller goes on who came in here.</summary>
    public static string AddressOf(HttpRequest request) => $"{request.Scheme}://{request.Host.Value}";

    public bool Is(HttpContext context) => context.Request.IsHttps && context.Connection.LocalPort == Port;

    /// <summary>A name that somebody pointed at this machine is none of ours, whatever certificate he has.</summary>
    public bool IsNamed(string host) => Hosts.Contains(host.Trim('[', ']'), StringComparer.OrdinalIgnoreCase);
}
