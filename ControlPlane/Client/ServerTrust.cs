using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>
/// Whose certificate is believed at https addresses: that of whom this machine's authorities have signed, or of those of a file. Nobody is
/// asked whether it was revoked: authorities within a company seldom answer that.
/// </summary>
internal sealed class ServerTrust
{
    /// <summary>What --ca says too.</summary>
    public const string Variable = "DSOPS_CA";

    private readonly X509Certificate2Collection? authorities;

    private ServerTrust(X509Certificate2Collection? authorities) => this.authorities = authorities;

    /// <summary>Why the last certificate was not believed; empty: it was.</summary>
    public string Doubt { get; private set; } = "";

    /// <param name="file">PEM file with authorities. Null: this machine's.</param>
    public static ServerTrust Of(string? file)
    {
        if (file is not { Length: > 0 })
        {
            return new ServerTrust(null);
        }

        var all = new X509Certificate2Collection();
        try
        {
            all.ImportFromPemFile(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new RefusalException($"--ca {file} cannot be read: {e.Message}",
                $"Name a PEM file with the certificate of who signed the control plane's, with --ca or {Variable}.", ExitCode.Usage, e);
        }

        return all.Count > 0 ? new ServerTrust(all) : throw new RefusalException($"--ca {file} has no certificate in PEM.",
            "It begins with -----BEGIN CERTIFICATE-----.", ExitCode.Usage);
    }

    public SocketsHttpHandler Handler()
    {
        var handler = new SocketsHttpHandler { UseProxy = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (sender, theirs, chain, errors) =>
            Believed((sender as SslStream)?.TargetHostName ?? "", theirs as X509Certificate2, chain, errors);
        if (authorities is not null)
        {
            handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck,
            };
            handler.SslOptions.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
        }

        return handler;
    }

    private bool Believed(string host, X509Certificate2? shown, X509Chain? chain, SslPolicyErrors errors)
    {
        Doubt = shown is null ? errors == SslPolicyErrors.None ? "" : "it shows no certificate"
            : errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch) ? $"its certificate is not made for {host}"
            : errors == SslPolicyErrors.None ? ""
            : chain?.ChainStatus.Any(s => s.Status.HasFlag(X509ChainStatusFlags.NotTimeValid)) == true
                ? string.Create(CultureInfo.InvariantCulture, $"a certificate is not good now: {shown.Subject} is from "
                    + $"{shown.NotBefore.ToUniversalTime():yyyy-MM-dd HH:mm} to {shown.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm} UTC")
            : $"its certificate ({shown.Subject}) is signed by nobody of {(authorities is null ? "this machine's authorities" : "--ca")}";
        return errors == SslPolicyErrors.None;
    }
}
