using DeepSeekOps.ControlPlane.Client;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.People;

/// <summary>Who makes a call, for the audit log.</summary>
/// <param name="Who">A name; where only the owner's token was shown, the one that the caller says.</param>
/// <param name="By">What shows it.</param>
/// <param name="From">The door, and the machine that it came from.</param>
internal sealed record Caller(string Who, string By, string From)
{
    public const string OwnersToken = "owner's token";

    private const int SaidMost = 100;

    /// <summary>Nothing shows who it is: a name that a request gives is as good.</summary>
    public bool NamesItself => By is OwnersToken || From == OpsActs.Kubectl;

    public static Caller Of(ServerCallContext context) => Of(context.GetHttpContext());

    public static Caller Of(HttpContext http)
    {
        string door = Said(http.Request.Headers[TokenHeader.Door].ToString());
        string user = Said(Uri.UnescapeDataString(http.Request.Headers[TokenHeader.User].ToString()));
        string address = http.Connection.RemoteIpAddress?.ToString() ?? "";
        string machine = user.Contains('@', StringComparison.Ordinal) ? user[(user.IndexOf('@', StringComparison.Ordinal) + 1)..] : "";
        if (door == OpsActs.Kubectl && Gate.Of(http).IsOwner)
        {
            return new Caller(OpsActs.Kubectl, "RBAC of the cluster", OpsActs.Kubectl);
        }

        door = door.Length > 0 ? door : http.Request.Path.StartsWithSegments("/v1", StringComparison.Ordinal) ? "rest" : "grpc";
        string from = machine.Length > 0 ? $"{door} on {machine}, {address}" : $"{door}, {address}";
        var holder = Gate.Of(http);
        return holder.IsOwner ? new Caller(user.Length > 0 ? user.Split('@')[0] : "owner", OwnersToken, from)
            : new Caller(holder.Name, holder.InWords, from);
    }

    /// <summary>What a caller says of itself is words for people, and short.</summary>
    private static string Said(string text)
    {
        string clean = string.Concat(text.Where(c => !char.IsControl(c))).Trim();
        return clean.Length <= SaidMost ? clean : clean[..SaidMost];
    }
}
