using System.Globalization;
using System.Text.RegularExpressions;
using DeepSeekOps.Decisions.Exits;

namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// The end of a rank in words, and what of it makes it the same fault again: the way it ended, the step, and where in the program. What
/// a rank says and prints has times, addresses and temporary names in it; it is shown and compared with nothing.
/// </summary>
public static partial class RankEnd
{
    /// <summary>A message may be a page; a sentence holds its beginning.</summary>
    private const int WordsMax = 300;

    private const int SigKill = ExitCodes.Signal + 9;
    private const int SigTerm = ExitCodes.Signal + 15;

    public static Failure Of(WatchedStage stage, NodeId node, RankStatus rank, DateTimeOffset happened, DateTimeOffset now)
    {
        int code = rank.ExitCode ?? 0;
        string said = OneLine(rank.Error);
        var exit = Judge(rank);
        if (code == ExitCodes.BadInput)
        {
            string bad = said.Length == 0 ? "bad input" : $"bad input: {said}";
            return new Failure(FailureCause.BadInput, bad, bad, node, false, stage.Attempt, rank.Step, happened, now)
            { Exit = exit, Rank = rank.Rank };
        }

        if (code == ExitCodes.NoCheckpoint)
        {
            string none = said.Length == 0 ? "no checkpoint can be used" : said;
            return new Failure(FailureCause.NoCheckpoint, none, "", node, false, stage.Attempt, rank.Step, happened, now)
            { Exit = exit, Rank = rank.Rank };
        }

        string memory = rank.MemoryKill.Length > 0 ? $", probably out of memory ({rank.MemoryKill})" : "";
        string last = OneLine(rank.LastLine);
        string words = said.Length > 0 ? $": {said}" : last.Length > 0 ? $"; last line: '{last}'" : "";
        return new Failure(FailureCause.RankExited, $"rank {rank.Rank} on {node} {HowItEnded(code)}{memory} at step {rank.Step}{words}",
            Signature(rank, madeStep: rank.MadeStep(stage.LaunchedFrom)), node, false, stage.Attempt, rank.Step, happened, now)
        { Exit = exit, Rank = rank.Rank };
    }

    /// <summary>
    /// The dictionary's word on it. What the kernel says of memory comes first, then what the rank said and printed: its exception's type
    /// stands before the message, as it does in a log. Whoever had done its work is no rank that ended.
    /// </summary>
    public static ExitVerdict Judge(RankStatus rank)
    {
        string type = rank.Fault.Split(" at ")[0];
        string said = rank.Error.Length == 0 ? "" : type.Length == 0 ? rank.Error : $"{type}: {rank.Error}";
        return ExitScan.JudgeUndone([rank.MemoryKill, .. said.Split('\n'), rank.LastLine, .. rank.LastLines], rank.ExitCode ?? 0);
    }

    /// <summary>It says itself that another rank ended before it: by a field where it knows which, else in words.</summary>
    public static bool IsVictim(RankStatus rank) => rank.LostPeer is not null || Judge(rank).Class == ExitClasses.PeerEnded;

    /// <summary>"was ended by signal 9 (SIGKILL)", "exited with code 3".</summary>
    public static string HowItEnded(int code) => code <= ExitCodes.Signal
        ? string.Create(CultureInfo.InvariantCulture, $"exited with code {code}")
        : string.Create(CultureInfo.InvariantCulture, $"was ended by signal {code - ExitCodes.Signal}{Name(code - ExitCodes.Signal)}");

    /// <summary>
    /// A person's kill says nothing of the program, and comes at any step. Three at the very same step without a checkpoint between
    /// them are no person's; before the first step there is only one step to be killed at, so there the kernel has to say that it
    /// was want of memory.
    /// </summary>
    private static string Signature(RankStatus rank, bool madeStep)
    {
        int code = rank.ExitCode ?? 0;
        bool fromOutside = code is SigKill or SigTerm && !madeStep && rank.MemoryKill.Length == 0;
        string fault = Numbers().Replace(Addresses().Replace(rank.Fault, "#"), "#");
        string where = fault.Length > 0 ? $" by {fault}" : "";
        return fromOutside ? "" : string.Create(CultureInfo.InvariantCulture, $"exit {code} at step {rank.Step}{where}");
    }

    private static string Name(int signal) => ExitCodes.SignalName(signal) is { Length: > 0 } name ? $" ({name})" : "";

    internal static string OneLine(string text)
    {
        const StringSplitOptions Lines = StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries;
        string line = string.Join(' ', text.Split(['\r', '\n'], Lines)).TrimEnd('.', ' ');
        return line.Length <= WordsMax ? line : line[..WordsMax] + "…";
    }

    [GeneratedRegex("0x[0-9a-fA-F]+")]
    private static partial Regex Addresses();

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Numbers();
}
