namespace DeepSeekOps.Decisions.Exits;

/// <summary>What an exit code says by itself.</summary>
public static class ExitCodes
{
    /// <summary>A rank that was given bad input (EX_DATAERR); the worker's RankEntry.BadInput.</summary>
    public const int BadInput = 65;

    /// <summary>A rank that found checkpoints and can use none (EX_NOINPUT); the worker's RankEntry.NoCheckpoint.</summary>
    public const int NoCheckpoint = 66;

    /// <summary>A rank whose agent is gone (EX_TEMPFAIL); the worker's RankEntry.AgentGone.</summary>
    public const int AgentGone = 75;

    /// <summary>A rank that found a number that is not finite: the next beyond sysexits'; the worker's RankEntry.NotFinite.</summary>
    public const int NotFinite = 79;

    /// <summary>Of the shell: 128 and the signal.</summary>
    public const int Signal = 128;

    /// <summary>Python tells a signal as its negative, everybody else as 128 and the signal.</summary>
    public static int Shell(int code) => code < 0 ? Signal - code : code;

    /// <summary>The class that a code stands for, and how much that says beside what was printed.</summary>
    public static (string Class, Weight Weight)? Says(int code) => Shell(code) switch
    {
        BadInput => (ExitClasses.BadData, Weight.Exception),
        NoCheckpoint => (ExitClasses.CheckpointDamaged, Weight.Exception),
        NotFinite => (ExitClasses.NotFinite, Weight.Cause),
        AgentGone => (ExitClasses.AgentGone, Weight.Exception),
        124 => ("time-limit", Weight.Exception),
        125 => ("container-failed", Weight.Peer),
        // Of a shell; what it or the loader said before tells more.
        126 or 127 => ("program-not-found", Weight.Peer),
        // HUP, INT, QUIT, USR1, USR2, PIPE, ALRM and TERM: each ends a program that does not wait for it.
        Signal + 1 or Signal + 2 or Signal + 3 or Signal + 10 or Signal + 12 or Signal + 13 or Signal + 14 or Signal + 15 =>
            ("terminated", Weight.HowEnded),
        Signal + 4 => ("illegal-instruction", Weight.Exception),
        Signal + 5 or Signal + 6 => ("aborted", Weight.HowEnded),
        Signal + 7 => ("bus-error", Weight.Exception),
        Signal + 8 => ("arithmetic-fault", Weight.Exception),
        Signal + 9 => ("killed", Weight.HowEnded),
        Signal + 11 => ("segmentation-fault", Weight.Exception),
        Signal + 24 => ("time-limit", Weight.Exception),
        Signal + 25 => ("limit-reached", Weight.Exception),
        _ => null,
    };

    public static string SignalName(int signal) => signal switch
    {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        _ => "",
    };
}
