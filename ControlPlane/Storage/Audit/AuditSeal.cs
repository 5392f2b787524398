using System.Text.Json;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Audit;

namespace DeepSeekOps.ControlPlane.Storage.Audit;

/// <summary>What seals the lines of the audit log: a secret that is not in the database.</summary>
/// <param name="Key">Tells which secret it is, and opens nothing.</param>
public sealed record AuditSeal(byte[] Secret, string Key)
{
    public ChainedLine Line(long number, AuditAct act, byte[] previous)
    {
        string text = LedgerJson.Write(new AuditText(number, Short(act)));
        byte[] hash = AuditChain.HashOf(previous, text);
        return new ChainedLine(number, number, text, previous, hash, AuditChain.SealOf(Secret, hash), Key);
    }

    public ChainHead Head(long number, byte[] hash) => new(number, hash, AuditChain.SealOfHead(Secret, number, hash), Key);

    private static AuditAct Short(AuditAct act) => act with { Why = Short(act.Why), Outcome = Short(act.Outcome) };

    private static string Short(string words) => words.Length <= AuditAct.WordsMost ? words : $"{words[..AuditAct.WordsMost]}…";
}

/// <summary>A line as text: its number stands in what is sealed.</summary>
internal sealed record AuditText([property: JsonPropertyName("n")] long Number, AuditAct Act)
{
    /// <summary>Null: it is no line.</summary>
    public static AuditText? Parse(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<AuditText>(text, LedgerJson.Options) is { Act: not null } read ? read : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
