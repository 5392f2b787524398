using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// Whom an agent takes for its control plane: who has the private key of the pin that it was started with, whatever else the certificate
/// says. Without a pin, whom the authorities of this machine have signed. In clear it speaks within its machine alone.
/// </summary>
internal sealed class ControlTrust(string pin)
{
    /// <summary>As curl's --pinnedpubkey writes it: of the SHA-256 of a public key.</summary>
    private const string PinBegin = "sha256//";

    /// <summary>Why who answered was not taken for it; empty: it was.</summary>
    public string Doubt { get; private set; } = "";

    /// <summary>What keeps an agent from starting with it; null: nothing.</summary>
    public static string? Problem(string pin)
    {
        byte[] hash = new byte[SHA256.HashSizeInBytes];
        return pin.Length == 0 || (pin.StartsWith(PinBegin, StringComparison.Ordinal)
            && Convert.TryFromBase64String(pin[PinBegin.Length..], hash, out int length) && length == hash.Length)
            ? null : $"{AgentOptions.PinVariable} is '{pin}'; it is {PinBegin} and the base64 of 32 bytes, as the control plane gives it.";
    }

    /// <summary>Why a token must not be shown there; empty: it may.</summary>
    public string Refusal(Uri address) => address.Scheme == Uri.UriSchemeHttps ? ""
        : pin.Length > 0 ? $"{address} is in clear, and {AgentOptions.PinVariable} says that the control plane speaks TLS: write https://"
        : address.IsLoopback ? ""
        : $"{address} would show this agent's token to whoever reads along: write https://, which the port of --agents speaks";

    public SocketsHttpHandler Handler(TimeSpan connectWithin)
    {
        var handler = new SocketsHttpHandler { ConnectTimeout = connectWithin, UseProxy = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, theirs, _, errors) => Believed(theirs, errors);
        return handler;
    }

    /// <summary>TLS proves that they have the private key of what they show.</summary>
    private bool Believed(X509Certificate? shown, SslPolicyErrors errors)
    {
        Doubt = pin.Length == 0
            ? errors == SslPolicyErrors.None ? "" : $"its certificate is not believed ({errors}), and {AgentOptions.PinVariable} is not set"
            : shown is X509Certificate2 theirs && PinOf(theirs) == pin ? ""
            : "it shows another key than the one this agent was started with: another program listens there, or dsops.key was renewed";
        return Doubt.Length == 0;
    }

    private static string PinOf(X509Certificate2 theirs) =>
        PinBegin + Convert.ToBase64String(SHA256.HashData(theirs.PublicKey.ExportSubjectPublicKeyInfo()));
}
