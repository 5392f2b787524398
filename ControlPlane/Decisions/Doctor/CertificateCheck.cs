using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Doctor;

/// <summary>The certificate that people are shown, as its files have it.</summary>
/// <param name="File">Of --https-cert.</param>
public sealed record CertificateFacts(string File)
{
    /// <summary>Why it cannot be used, and what to do; null: it can.</summary>
    public (string What, string Fix)? Unusable { get; init; }

    public DateTimeOffset From { get; init; }

    public DateTimeOffset Until { get; init; }

    /// <summary>Names and addresses that it is made for.</summary>
    public ImmutableArray<string> Names { get; init; } = [];

    /// <summary>Hosts of --public-url that are none of them.</summary>
    public ImmutableArray<string> NotNamed { get; init; } = [];
}

/// <summary>Whether browsers and programs will believe it.</summary>
public static class CertificateCheck
{
    /// <summary>
    /// cert-manager and certbot renew one of 90 days when 30 are left: with 14 to go that has failed for two weeks, and there are two
    /// left to mend it.
    /// </summary>
    private static readonly TimeSpan Soon = TimeSpan.FromDays(14);

    /// <summary>One that is made for days is always near its end; renewed in time, it has a third of its life left.</summary>
    private const int Part = 3;

    public static ImmutableArray<Finding> Of(CertificateFacts seen, DateTimeOffset now)
    {
        const string check = "https.certificate";
        return seen.Unusable is { } why
            ? [Finding.Fault(check, why.What.TrimEnd('.'), why.Fix)]
            : [Finding.Ok(check, $"{seen.File} can be read, and its key fits"), Time(seen, now), Name(seen)];
    }

    /// <summary>So near its end that whoever renews it must have failed.</summary>
    public static bool EndsSoon(DateTimeOffset from, DateTimeOffset until, DateTimeOffset now) =>
        until - now < Soon && until - now < (until - from) / Part;

    private static Finding Time(CertificateFacts seen, DateTimeOffset now)
    {
        const string check = "https.expiry";
        string renewed = "Renew it and put the new files in its place: they are read within ten seconds, without a restart.";
        return seen switch
        {
            _ when seen.Until <= now => Finding.Fault(check, $"{seen.File} expired on {Day(seen.Until)}", renewed),
            _ when seen.From > now => Finding.Fault(check, $"{seen.File} is good from {Day(seen.From)} on only",
                "Look at this machine's clock, or take the certificate that is good now."),
            _ when EndsSoon(seen.From, seen.Until, now) => Finding.Warning(check,
                $"{seen.File} expires on {Day(seen.Until)}, in {Words.Count((int)(seen.Until - now).TotalDays, "day", "days")}",
                $"Find out why nothing renews it. {renewed}"),
            _ => Finding.Ok(check, $"{seen.File} is good until {Day(seen.Until)}"),
        };
    }

    private static Finding Name(CertificateFacts seen)
    {
        const string check = "https.names";
        string made = seen.Names.IsEmpty ? "it names no host" : $"it is made for {string.Join(", ", seen.Names)}";
        return seen.NotNamed.IsEmpty ? Finding.Ok(check, $"{seen.File}: {made}")
            : Finding.Fault(check, $"{seen.File} does not cover {string.Join(", ", seen.NotNamed)} of --public-url: {made}",
                "Have it made for that name (subjectAltName), or correct --public-url.");
    }

    private static string Day(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);
}
