using System.Collections.Immutable;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>Who is notified of what automation cannot fix. Secrets stand in files of their own, never here.</summary>
public sealed record NoticeSettings
{
    /// <summary>File with the address that a message is posted to. Empty: none.</summary>
    public string WebhookFile { get; init; } = "";

    /// <summary>Null: no mail is sent.</summary>
    public MailSettings? Mail { get; init; }

    /// <summary>Also of incidents that ask nothing of anybody.</summary>
    public bool All { get; init; }

    /// <summary>Where people reach the dashboard. Empty: on this machine alone.</summary>
    public string Address { get; init; } = "";
}

public enum MailSecurity
{
    StartTls = 0,
    Tls = 1,
    None = 2,
}

public sealed record MailSettings(string Server, string From, ImmutableArray<string> To)
{
    public int Port { get; init; } = 587;

    public MailSecurity Security { get; init; }

    /// <summary>Empty: the server asks for no name.</summary>
    public string User { get; init; } = "";

    public string PasswordFile { get; init; } = "";
}

/// <summary>The part `notifications:` of the cluster's settings.</summary>
internal static class NoticeNotation
{
    private static TextNotation File { get; } = new("a full path", "/[^\\x00-\\x1f]{0,4095}");

    private static TextNotation MailAddress { get; } = new("an address such as ops@example.org", "[^@\\s<>,]{1,64}@[^@\\s<>,]{1,255}");

    private static Mapping<MailSettings> Mail { get; } = new Mapping<MailSettings>("a mail server", new MailSettings("", "", []))
        .With("server", new TextNotation("the name of a host", "[A-Za-z0-9.:-]{1,255}"), m => m.Server, (m, v) => m with { Server = v },
            "SMTP server.", required: true)
        .With("port", Spell.Int(1, 65_535), m => m.Port, (m, v) => m with { Port = v }, "Its port.")
        .With("security", new ChoiceNotation<MailSecurity>([("starttls", MailSecurity.StartTls), ("tls", MailSecurity.Tls),
            ("none", MailSecurity.None)]), m => m.Security, (m, v) => m with { Security = v },
            "starttls is refused where the server has none; tls from the first byte (port 465); none only within one machine.")
        .With("user", Spell.Anything, m => m.User, (m, v) => m with { User = v }, "Name to log in with; none: no login.")
        .With("passwordFile", File, m => m.PasswordFile, (m, v) => m with { PasswordFile = v }, "File with the password, and nothing else.")
        .With("from", MailAddress, m => m.From, (m, v) => m with { From = v }, "Who it comes from.", required: true)
        .With("to", new ListNotation<string>(MailAddress, 1, 50, "addresses"), m => m.To, (m, v) => m with { To = v }, "Who gets it.",
            required: true);

    public static Mapping<NoticeSettings> Settings { get; } = new Mapping<NoticeSettings>("notifications", new NoticeSettings())
        .With("webhookFile", File, n => n.WebhookFile, (n, v) => n with { WebhookFile = v },
            "File with the address that messages are posted to, as Slack and what speaks like it give it. The address is a secret.")
        .MaybeRecord("mail", Mail, n => n.Mail, (n, v) => n with { Mail = v }, "Mail by SMTP.")
        .With("all", new FlagNotation(), n => n.All, (n, v) => n with { All = v },
            "Also notify of incidents that were fixed and need nobody.")
        .With("address", new TextNotation("an address such as https://ops.example.org", "https?://[^\\s/]{1,300}"), n => n.Address,
            (n, v) => n with { Address = v }, "Where people reach the dashboard, for links.");

    public static IEnumerable<(string, IEnumerable<(string, string, bool, string)>)> Tables =>
        [("notifications", ClusterNotation.Lines(Settings)), ("mail", ClusterNotation.Lines(Mail))];
}
