namespace DeepSeekOps.Decisions.People;

/// <summary>Who an OIDC provider says that somebody is.</summary>
/// <param name="Subject">Of this issuer, which gives it to nobody else ever; names and addresses change hands.</param>
/// <param name="Name">As told: words for people.</param>
public sealed record Person(string Issuer, string Subject, string Name)
{
    public string InWords => $"{Name}, {Subject} at {Issuer}";

    public bool IsSame(Person? other) => other is not null && other.Issuer == Issuer && other.Subject == Subject;
}
