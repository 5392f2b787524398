using System.Net.Security;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions.Doctor;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepSeekOps.ControlPlane.Hosting.Tls;

/// <summary>
/// The certificate of --https-cert. Whoever renews it writes its files anew, and nobody restarts a control plane for that: they are looked
/// at again and again, and what is right in them is shown from then on. What is not right leaves the one that was.
/// </summary>
internal sealed partial class RenewedCertificate : IDisposable
{
    /// <summary>Two small files; whoever renews waits no longer than this for it to be seen.</summary>
    public static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(10);

    private readonly PemFiles files;
    private readonly TimeProvider clock;
    private readonly ITimer timer;
    private volatile SslStreamCertificateContext context;
    private string text, told = "";
    private int looking;

    private RenewedCertificate(PemFiles files, TimeProvider clock, PemPair first)
    {
        (this.files, this.clock, text, context) = (files, clock, first.Text, first.Context());
        timer = clock.CreateTimer(_ => _ = Look(), null, LookEvery, LookEvery);
    }

    /// <summary>What is shown now. Connections that stand keep what they were shown.</summary>
    public SslStreamCertificateContext Context => context;

    /// <summary>Set when there is a log.</summary>
    public ILogger Log { get; set; } = NullLogger.Instance;

    /// <exception cref="RefusalException">It cannot be used.</exception>
    public static async Task<RenewedCertificate> Open(PemFiles files, TimeProvider clock, CancellationToken cancellation)
    {
        var (pair, facts) = await PemPair.Read(files, cancellation);
        return pair is not null ? new RenewedCertificate(files, clock, pair) : throw new RefusalException(
            facts.Unusable?.What + ".", facts.Unusable?.Fix ?? "", ExitCode.Failed);
    }

    public void Dispose() => timer.Dispose();

    /// <summary>One at a time: a mount that hangs is asked once.</summary>
    internal async Task Look()
    {
        if (Interlocked.Exchange(ref looking, 1) == 1)
        {
            return;
        }

        try
        {
            var (pair, facts) = await PemPair.Read(files, CancellationToken.None);
            if (pair is not null && pair.Text != text)
            {
                (text, context) = (pair.Text, pair.Context());
                LogRenewed(files.Certificate, facts.Until);
            }

            Tell(string.Join("; ", CertificateCheck.Of(facts, clock.GetUtcNow()).Where(f => f.Level >= FindingLevel.Warning)
                .Select(f => $"{f.Found}. {f.Fix}")));
        }
        finally
        {
            Volatile.Write(ref looking, 0);
        }
    }

    /// <summary>Said when it changes, not at each look.</summary>
    private void Tell(string trouble)
    {
        if (trouble != told && trouble.Length > 0)
        {
            LogTrouble(trouble);
        }

        told = trouble;
    }

    private void LogRenewed(string file, DateTimeOffset until) => LogRenewed(Log, file, until);

    private void LogTrouble(string trouble) => LogTrouble(Log, trouble);

    [LoggerMessage(Level = LogLevel.Information, Message = "{File} was renewed: it is good until {Until:u}")]
    private static partial void LogRenewed(ILogger log, string file, DateTimeOffset until);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Trouble}")]
    private static partial void LogTrouble(ILogger log, string trouble);
}
