using System.Text;
using CsCheck;
using DeepSeekOps.Decisions.Audit;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Audit;

/// <summary>Whatever is done to a log without its key is found and named. Costs half a second of a core.</summary>
public sealed class AuditChainTests
{
    private static readonly byte[] Secret = Encoding.UTF8.GetBytes("the key of the control plane");

    [Fact]
    public void A_log_as_it_was_written_has_no_finding_also_an_empty_one()
    {
        Assert.Empty(Findings(Log(0), Head([])));
        var log = Log(12);
        Assert.Empty(Findings(log, Head(log)));
    }

    [Fact]
    public void A_line_that_was_changed_is_named()
    {
        var log = Log(9);
        log[4] = log[4] with { Text = log[4].Text.Replace("act", "fact", StringComparison.Ordinal) };
        Assert.Equal(["line 5 was changed: its text is not the one that was sealed"], Findings(log, Head(log)));
        log = Log(9);
        // With a hash that fits the new text, which anybody can compute; the seal is what nobody can.
        string text = log[8].Text + " and more";
        log[8] = log[8] with { Text = text, Hash = AuditChain.HashOf(log[8].Previous, text) };
        Assert.Equal(["line 9 was changed: its text is not the one that was sealed"], Findings(log, Head(Log(9))));
    }

    [Fact]
    public void A_column_that_says_something_else_than_the_text_is_a_change_too()
    {
        var log = Log(5);
        log[2] = log[2] with { Says = null };
        Assert.Equal(["line 3 was changed: its text is not the one that was sealed"], Findings(log, Head(log)));
    }

    [Theory]
    [InlineData(0, "line 1 is missing")]
    [InlineData(4, "line 5 is missing")]
    [InlineData(8, "line 9 is missing")]
    public void A_line_that_was_taken_away_is_named_wherever_it_stood(int at, string words)
    {
        var log = Log(9);
        log.RemoveAt(at);
        Assert.Equal([words], Findings(log, Head(Log(9))));
        // The same with those behind it moved up.
        Assert.Equal([words], Findings(Numbered(log), Head(Log(9))));
    }

    [Fact]
    public void Lines_taken_from_the_end_are_missing_also_where_the_head_was_set_back()
    {
        var log = Log(9);
        var shorter = log.Take(6).ToList();
        Assert.Equal(["lines 7 to 9 are missing"], Findings(shorter, Head(log)));
        var forged = new ChainHead(6, shorter[^1].Hash, shorter[^1].Seal, "key");
        Assert.Contains("head of the log was changed", Assert.Single(Findings(shorter, forged)), StringComparison.Ordinal);
        Assert.Contains("head of the log is gone", Assert.Single(Findings(shorter, null)), StringComparison.Ordinal);
        Assert.Contains(
            "head of the log was changed", Assert.Single(Findings(shorter, forged with { Key = "" })), StringComparison.Ordinal);
    }

    [Fact]
    public void A_line_that_was_put_in_is_named_where_it_stands()
    {
        var log = Log(6);
        const string Text = "6 act 6 of somebody else";
        byte[] hash = AuditChain.HashOf(log[4].Hash, Text);
        log.Insert(5, new ChainedLine(6, 6, Text, log[4].Hash, hash, new byte[32], "key"));
        Assert.Equal(["line 6 was put in behind line 5: it was not sealed here"], Findings(Numbered(log), Head(Log(6))));
        log = Log(6);
        log.Insert(4, log[1]);
        Assert.Equal(["line 2 was put in: it stands there twice"], Findings(Numbered(log), Head(Log(6))));
    }

    [Fact]
    public void Lines_that_changed_places_are_named()
    {
        var log = Log(8);
        (log[3], log[5]) = (log[5], log[3]);
        Assert.Equal(
            ["line 4 was moved: it stands behind line 6", "line 5 was moved: it stands behind line 6"],
            Findings(Numbered(log), Head(Log(8))));
    }

    [Fact]
    public void Lines_of_a_key_that_was_renewed_are_counted_and_their_chain_still_holds()
    {
        var log = Log(4, "old");
        var sealing = new List<ChainedLine>(log);
        Continue(sealing, 3, "key");
        var chain = new AuditChain(Secret, "key");
        sealing.ForEach(chain.Next);
        Assert.Empty(chain.End(Head(sealing)));
        Assert.Equal(4, chain.OtherKeys);
        string text = sealing[1].Text + "!";
        sealing[1] = sealing[1] with { Text = text, Hash = AuditChain.HashOf(sealing[1].Previous, text) };
        Assert.Equal("line 2 was changed: line 3 was written behind another one", Assert.Single(Findings(sealing, Head(sealing))));
    }

    [Fact]
    public void Whatever_is_done_to_a_log_without_the_key_is_found()
    {
        Gen.Int[2, 30].SelectMany(size => Gen.Select(Gen.Int[0, 4], Gen.Int[0, size - 1], Gen.Int[0, size - 1], Gen.Bool)
            .Select((how, at, other, renumber) => (size, how, at, other, renumber))).Sample(drawn =>
        {
            var (size, how, at, other, renumber) = drawn;
            var log = Log(size);
            var head = Head(log);
            switch (how)
            {
                case 0:
                    log.RemoveAt(at);
                    break;
                case 1:
                    log[at] = log[at] with { Text = log[at].Text + " " };
                    break;
                case 2:
                    (log[at], log[other]) = (log[other], log[at]);
                    break;
                case 3:
                    log.Insert(at, log[other]);
                    break;
                default:
                    string text = $"{at + 1} act of nobody";
                    byte[] previous = at == 0 ? AuditChain.Nothing : log[at - 1].Hash;
                    byte[] hash = AuditChain.HashOf(previous, text);
                    log.Insert(at, new ChainedLine(at + 1, at + 1, text, previous, hash, log[other].Seal, "key"));
                    break;
            }

            var found = Findings(renumber ? Numbered(log) : log, head);
            Assert.Equal(how == 2 && at == other, found.Count == 0);
        }, iter: 3_000);
    }

    private static List<string> Findings(List<ChainedLine> log, ChainHead? head)
    {
        var chain = new AuditChain(Secret, "key");
        log.ForEach(chain.Next);
        var found = chain.End(head);
        Assert.Equal(found.Count == 0, chain.Found == 0);
        return [.. found.Select(f => f.Words)];
    }

    private static List<ChainedLine> Log(int size, string key = "key")
    {
        var log = new List<ChainedLine>();
        Continue(log, size, key);
        return log;
    }

    private static void Continue(List<ChainedLine> log, int count, string key)
    {
        byte[] secret = key == "key" ? Secret : Encoding.UTF8.GetBytes(key);
        for (int i = 0; i < count; i++)
        {
            byte[] previous = log.Count == 0 ? AuditChain.Nothing : log[^1].Hash;
            string text = $"{log.Count + 1} act {log.Count + 1} of ann";
            byte[] hash = AuditChain.HashOf(previous, text);
            log.Add(new ChainedLine(log.Count + 1, log.Count + 1, text, previous, hash, AuditChain.SealOf(secret, hash), key));
        }
    }

    /// <summary>As somebody would who hides what he did: the lines stand there without a gap.</summary>
    private static List<ChainedLine> Numbered(List<ChainedLine> log) => [.. log.Select((line, i) => line with { Number = i + 1 })];

    private static ChainHead Head(List<ChainedLine> log)
    {
        byte[] hash = log.Count == 0 ? AuditChain.Nothing : log[^1].Hash;
        return new ChainHead(log.Count, hash, AuditChain.SealOfHead(Secret, log.Count, hash), "key");
    }
}
