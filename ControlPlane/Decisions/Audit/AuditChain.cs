using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace DeepSeekOps.Decisions.Audit;

/// <summary>A line as it stands in the database.</summary>
/// <param name="Number">Where it stands.</param>
/// <param name="Says">The number that its text says; null: the text cannot be read, or says something else than its columns.</param>
/// <param name="Previous">Hash of the line that was before it when it was written.</param>
/// <param name="Hash">Of <paramref name="Previous"/> and the text.</param>
/// <param name="Seal">Of the hash, by the key of the control plane.</param>
/// <param name="Key">Which key that was.</param>
public sealed record ChainedLine(long Number, long? Says, string Text, byte[] Previous, byte[] Hash, byte[] Seal, string Key);

/// <summary>How far the chain reaches: lines that are taken away at its end would leave no gap.</summary>
public sealed record ChainHead(long Number, byte[] Hash, byte[] Seal, string Key);

/// <param name="Line">The number of the line that it is about, as its text said it or as it stands.</param>
/// <param name="Words">Such as "line 12 was changed: …".</param>
public sealed record AuditFinding(long Line, string Words);

/// <summary>
/// Reads the lines of an audit log in the order in which they stand and finds what was changed, taken away, put in or moved. A text and its
/// number cannot be changed without the key: the seal tells. Between two lines that are whole, those that are not took the place of those
/// that are missing as far as there are any, and the others were put in.
/// </summary>
public sealed class AuditChain(byte[] secret, string key)
{
    /// <summary>Ours: who looks at the first hundred knows what to do, and the count tells of the others.</summary>
    public const int FindingsKept = 100;

    public static readonly byte[] Nothing = new byte[SHA256.HashSizeInBytes];

    private readonly List<AuditFinding> findings = [];
    private readonly SortedDictionary<long, long> missing = [];
    private readonly List<ChainedLine> broken = [];
    private long last;
    private byte[] lastHash = Nothing;
    private bool lastIsOurs;
    private bool inOrder = true;

    /// <summary>Lines that were read.</summary>
    public long Lines { get; private set; }

    /// <summary>Lines that were sealed with another key, whose seals nobody can check; the chain of their hashes was.</summary>
    public long OtherKeys { get; private set; }

    /// <summary>Everything found, the first <see cref="FindingsKept"/> in words.</summary>
    public long Found { get; private set; }

    /// <summary>Hash of the newest line, to be noted elsewhere.</summary>
    public (long Number, byte[] Hash) Newest => (last, lastHash);

    public static byte[] HashOf(byte[] previous, string text) => SHA256.HashData([.. previous, .. Encoding.UTF8.GetBytes(text)]);

    public static byte[] SealOf(byte[] secret, byte[] hash) => HMACSHA256.HashData(secret, hash);

    /// <summary>Another than that of the newest line, which would tell anybody how to make the head of a shorter chain.</summary>
    public static byte[] SealOfHead(byte[] secret, long number, byte[] hash) => SealOf(
        secret, [.. "head "u8, .. Encoding.UTF8.GetBytes(number.ToString(CultureInfo.InvariantCulture)), (byte)' ', .. hash]);

    public void Next(ChainedLine line)
    {
        Lines++;
        OtherKeys += line.Key == key ? 0 : 1;
        if (!IsWhole(line) || line.Says is not { } says)
        {
            broken.Add(line);
            return;
        }

        if (says <= last)
        {
            Settle(last);
            bool away = TakeFromMissing(says);
            Say(says, away ? $"line {says} was moved: it stands behind line {last}" : $"line {says} was put in: it stands there twice");
            inOrder = false;
            return;
        }

        bool follows = inOrder && says == last + 1 && broken.Count == 0;
        if (follows && !line.Previous.AsSpan().SequenceEqual(lastHash))
        {
            Say(last, $"line {last} was changed: line {says} was written behind another one");
        }

        Settle(says - 1);
        (last, lastHash, lastIsOurs, inOrder) = (says, line.Hash, line.Key == key, true);
    }

    /// <param name="head">Null: it is gone.</param>
    public IReadOnlyList<AuditFinding> End(ChainHead? head)
    {
        if (head is null)
        {
            Settle(last);
            Say(last, "the head of the log is gone: whether lines are missing at its end cannot be told");
        }
        else if (head.Key == key ? !Same(head.Seal, SealOfHead(secret, head.Number, head.Hash)) : lastIsOurs)
        {
            Settle(last);
            Say(last, "the head of the log was changed: whether lines are missing at its end cannot be told");
        }
        else
        {
            bool putBack = head.Number < last
                || (head.Number == last && inOrder && broken.Count == 0 && !head.Hash.AsSpan().SequenceEqual(lastHash));
            Settle(Math.Max(last, head.Number));
            if (putBack)
            {
                Say(last, $"the head of the log says line {head.Number} and is not that of line {last}, which is there: it was put back");
            }
        }

        foreach (var (first, end) in missing)
        {
            Say(first, first == end ? $"line {first} is missing" : $"lines {first} to {end} are missing", 1 + end - first);
        }

        return [.. findings.OrderBy(f => f.Line)];
    }

    /// <summary>Between the last whole line and <paramref name="until"/>: who takes whose place, who was put in, who is missing.</summary>
    private void Settle(long until)
    {
        long next = last + 1;
        foreach (var line in broken)
        {
            if (next <= until)
            {
                Say(next, $"line {next} was changed: its text is not the one that was sealed");
                next++;
            }
            else
            {
                Say(line.Number, $"line {line.Number} was put in behind line {Math.Max(last, next - 1)}: it was not sealed here");
            }
        }

        broken.Clear();
        if (next <= until)
        {
            missing[next] = until;
        }

        last = Math.Max(last, until);
    }

    private bool TakeFromMissing(long says)
    {
        foreach (var (first, end) in missing)
        {
            if (says >= first && says <= end)
            {
                missing.Remove(first);
                if (first < says)
                {
                    missing[first] = says - 1;
                }

                if (says < end)
                {
                    missing[says + 1] = end;
                }

                return true;
            }
        }

        return false;
    }

    private bool IsWhole(ChainedLine line) => Same(line.Hash, HashOf(line.Previous, line.Text))
        && (line.Key != key || Same(line.Seal, SealOf(secret, line.Hash)));

    private void Say(long line, string words, long count = 1)
    {
        Found += count;
        if (findings.Count < FindingsKept)
        {
            findings.Add(new AuditFinding(line, words));
        }
    }

    private static bool Same(byte[] one, byte[] other) => CryptographicOperations.FixedTimeEquals(one, other);
}
