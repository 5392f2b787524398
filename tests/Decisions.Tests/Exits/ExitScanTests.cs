using System.Text;
using CsCheck;
using DeepSeekOps.Decisions.Exits;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Exits;

public sealed class ExitScanTests
{
    [Theory]
    [InlineData("cuda-out-of-memory", 1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")]
    [InlineData("host-out-of-memory", 137, "slurmstepd: error: Detected 1 oom_kill event in StepId=4711.0.")]
    [InlineData("nccl-timeout", 134, "[rank3]:[E1127 02:14:05.1 P.cpp:616] Watchdog caught collective operation timeout: Work(")]
    [InlineData("nccl-misuse", 1, "node1:77:81 [0] init.cc:943 NCCL WARN Duplicate GPU detected : rank 1 and rank 0")]
    [InlineData("gpu-broken", 1, "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.")]
    [InlineData("disk-full", 1, "Unhandled exception. System.IO.IOException: No space left on device : '/data/step-8'")]
    [InlineData("time-limit", 143, "slurmstepd: error: *** JOB 4711 ON node-1 CANCELLED AT 2026-01-02T03:04:05 DUE TO TIME LIMIT ***")]
    [InlineData("segmentation-fault", 139, "srun: error: node-1: task 3: Segmentation fault (core dumped)")]
    [InlineData("killed", 137, "step 12 loss 2.31")]
    [InlineData("killed", -9, "")]
    [InlineData("unknown", 1, "hello")]
    [InlineData("finished", 0, "Traceback: ValueError: caught")]
    [InlineData("not-finite", 0, "step 12 | loss = nan")]
    [InlineData("cuda-error", 1, "kernels.cu:88 CUDA error 719")]
    [InlineData("gpu-broken", 1, "NVRM: Xid (PCI:0000:3b:00): 95, pid=1, name=python, Uncontained ECC error")]
    [InlineData("segmentation-fault", 1, "exits with return code = -11")]
    [InlineData("no-permission", 126, "bash: ./start.sh: Permission denied")]
    [InlineData("preempted", 143, "WARNING: spot interruption in 2 minutes")]
    [InlineData("checkpoint-damaged", 1, "RuntimeError: piece 3 of the checkpoint is truncated")]
    public void A_line_as_it_is_printed_tells_its_class(string expected, int code, string line) =>
        Assert.Equal(expected, ExitScan.Judge(["step 1 loss 3.0", line, "bye"], code).Class);

    [Fact]
    public void The_first_cause_by_time_wins_and_a_peer_never_wins_over_a_cause()
    {
        string[] log =
        [
            "[rank1]: System.IO.IOException: Rank 0 closed its connection. This rank ends because of it.",
            "[rank0]: RuntimeError: CUDA error: an illegal memory access was encountered",
            "[rank2]: OSError: [Errno 28] No space left on device",
        ];
        var told = ExitScan.Judge(log, 1);
        Assert.Equal(("cuda-error", "0", 2L), (told.Class, told.Rank, told.LineNumber));
        Assert.Equal("peer-ended", ExitScan.Judge(log[..1], 1).Class);
        string[] timed =
        [
            "2026-01-02T03:04:06Z [rank0] CUDA error: misaligned address",
            "2026-01-02T03:04:05Z [rank1] OSError: [Errno 28] No space left on device",
        ];
        Assert.Equal("disk-full", ExitScan.Judge(timed, 1).Class);
    }

    [Fact]
    public void What_was_trained_on_after_did_not_end_it()
    {
        string[] over = ["OSError: [Errno 28] No space left on device", "step 5 loss 2", "step 6 loss 2", "step 7 loss 2"];
        Assert.Equal("unknown", ExitScan.Judge(over, 1).Class);
        Assert.Equal("disk-full", ExitScan.Judge(over[..3], 1).Class);
        Assert.Equal("disk-full", ExitScan.Judge([.. over, over[0]], 1).Class);
    }

    [Fact]
    public void A_warning_never_wins_over_how_it_ended_and_is_never_sure()
    {
        string[] warned = ["WARNING: No space left on device, the checkpoint is skipped; retrying"];
        Assert.Equal("killed", ExitScan.Judge(warned, 137).Class);
        Assert.False(ExitScan.Judge(warned, 1).Sure);
    }

    [Fact]
    public void What_scripts_say_all_day_is_a_cause_only_as_a_last_word_or_from_an_error()
    {
        string[] early =
            ["ls: cannot access '/opt/x': No such file or directory", .. Enumerable.Range(0, 9).Select(i => $"loaded shard {i}")];
        Assert.Equal("killed", ExitScan.Judge(early, 137).Class);
        Assert.Equal(("file-missing", true), (ExitScan.Judge(early[..2], 1).Class, ExitScan.Judge(early[..2], 1).Sure));
        Assert.Equal("exception", ExitScan.Judge([.. early[..2], "RuntimeError: odd"], 1).Class);
    }

    [Fact]
    public void Frames_and_forgotten_exceptions_are_no_evidence()
    {
        string[] log =
        [
            "Exception ignored in: <function Loader.__del__ at 0x7f>", "Traceback (most recent call last):",
            "  File \"loader.py\", line 3, in __del__", "OSError: [Errno 28] No space left on device",
            "Traceback (most recent call last):", "  File \"train.py\", line 9, in step",
            "    raise RuntimeError(\"CUDA out of memory\")", "AttributeError: 'NoneType' object has no attribute 'x'",
        ];
        Assert.Equal("program-error", ExitScan.Judge(log, 1).Class);
    }

    [Fact]
    public void What_no_rule_knows_is_unknown_with_the_line_that_looks_most_like_it_and_a_guess_is_never_sure()
    {
        var told = ExitScan.Judge(["loading", "ERROR the moon was in the wrong house", "bye"], 1);
        Assert.Equal(("unknown", 2L, false), (told.Class, told.LineNumber, told.Sure));
        var guessed = ExitScan.Judge(["ERROR the tokenizer came back empty"], 1);
        Assert.Equal(("bad-data", false), (guessed.Class, guessed.Sure));
    }

    [Fact]
    public void Colours_prefixes_and_huge_lines_hide_nothing()
    {
        string long1 = new string('x', 700_000) + " CUDA out of memory. " + new string('y', 700_000);
        var seen = new ExitScan();
        var pieces = new OutputPieces(seen.Add);
        pieces.Feed(long1);
        pieces.End();
        var told = seen.Verdict(1);
        Assert.Equal("cuda-out-of-memory", told.Class);
        Assert.InRange(told.Line.Length, 20, 310);
        Assert.Equal("cuda-out-of-memory", ExitScan.Judge(["\u001b[31m[1,3]<stderr>: CUDA out\u001b[0m of memory."], 1).Class);
        Assert.Equal("killed", ExitScan.Judge(["2026-01-02 03:04:05,123 node-1.3| Killed"], null).Class);
    }

    [Fact]
    public void Any_output_has_a_verdict_of_a_known_class_wherever_it_is_cut() =>
        Gen.Select(Gen.Byte.Array[0, 3_000], Gen.Int[-64, 255], Gen.Int[1, 97]).Sample((bytes, code, step) =>
        {
            string text = Encoding.Latin1.GetString(bytes);
            var seen = new ExitScan();
            var pieces = new OutputPieces(seen.Add);
            for (int i = 0; i < text.Length; i += step)
            {
                pieces.Feed(text.AsSpan(i, Math.Min(step, text.Length - i)));
            }

            pieces.End();
            var cut = seen.Verdict(code);
            var whole = new ExitScan();
            var at_once = new OutputPieces(whole.Add);
            at_once.Feed(text);
            at_once.End();
            Assert.Equal(whole.Verdict(code), cut);
            Assert.Contains(cut.Meaning, ExitClasses.All);
        });

    [Fact]
    public void Every_phrase_names_a_class_that_there_is_and_every_class_can_be_told()
    {
        var byCode = Enumerable.Range(-64, 320).Select(c => ExitCodes.Says(c)?.Class ?? "");
        var told = ExitRules.All.Concat(ExitRules.Last).Select(r => r.Class).Concat(byCode).ToHashSet();
        Assert.All(told.Where(c => c.Length > 0), c => Assert.Equal(c, ExitClasses.Of(c).Id));
        string[] untold = [ExitClasses.Unknown, ExitClasses.Finished, ExitClasses.EndedEarly];
        Assert.Empty(ExitClasses.All.Select(c => c.Id).Except(told).Except(untold));
        Assert.Equal(ExitClasses.All.Length, ExitClasses.All.Select(c => c.Id).Distinct().Count());
    }

    [Fact]
    public void The_document_has_each_class_with_cause_retry_and_fix()
    {
        string text = File.ReadAllText(Path.Combine(StateChart.Root(), "docs", "exits.md"));
        string[] rows = [.. text.Split('\n').Where(line => line.StartsWith("| `", StringComparison.Ordinal))];
        Assert.Equal(ExitClasses.All.Select(c => $"| `{c.Id}` | {c.Cause} | {c.Retry.InWords()} | {c.Fix} |"), rows);
    }

    [Fact]
    public void Each_phrase_finds_itself()
    {
        foreach (var rule in ExitRules.All.Concat(ExitRules.Last))
        {
            foreach (string phrase in rule.Phrases)
            {
                // At the beginning of a line five digits are a rank.
                string printed = (phrase[0] == '=' ? phrase[1..] : "so " + phrase).Replace("*", "x", StringComparison.Ordinal)
                    .Replace("#", "42", StringComparison.Ordinal).Replace("~", ": ", StringComparison.Ordinal);
                string told = ExitScan.Judge([printed], null).Class;
                Assert.True(rule.Class.Length == 0 || told != ExitClasses.Unknown, $"{rule.Class}: {phrase}");
            }
        }
    }
}
