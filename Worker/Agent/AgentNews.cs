using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>Everything that happens to an agent. One loop takes these in order, so that nothing in it needs a lock.</summary>
internal abstract record AgentNews
{
    private AgentNews() { }

    public sealed record Tick : AgentNews;

    public sealed record Said(int Slot, RankReport Report) : AgentNews;

    /// <param name="Room">Released once the line is taken: whoever prints faster than that waits, and fills no memory.</param>
    public sealed record Printed(int Slot, LogLine Line, SemaphoreSlim Room) : AgentNews
    {
        /// <summary>To be called by whoever hears it, once.</summary>
        public LogLine Take()
        {
            Room.Release();
            return Line;
        }
    }

    /// <summary>The process is gone, and all it said and printed came before this.</summary>
    public sealed record Exited(int Slot, int ExitCode) : AgentNews;

    public sealed record Answered(ControlPlaneCall Call, ControlPlaneAnswer Answer) : AgentNews;

    /// <summary>The share of a checkpoint that was asked for is read.</summary>
    public sealed record Read(ReadOrder Order, Assignment Assignment, ShareRead Found) : AgentNews;

    /// <summary>Something worth a line in the agent's log.</summary>
    public sealed record Remark(string Text) : AgentNews;

    /// <param name="Save">Ranks may save before they end.</param>
    public sealed record Signalled(string Name, bool Save) : AgentNews;
}

internal abstract record ControlPlaneCall
{
    private ControlPlaneCall() { }

    public sealed record Register(RegisterRequest Request) : ControlPlaneCall;

    public sealed record Beat(HeartbeatRequest Request) : ControlPlaneCall;

    public sealed record Logs(LogBatch Batch) : ControlPlaneCall;
}

internal abstract record ControlPlaneAnswer
{
    private ControlPlaneAnswer() { }

    public sealed record Replied(WorkerReply Reply) : ControlPlaneAnswer;

    public sealed record Lost(string Reason) : ControlPlaneAnswer;

    /// <summary>It answers, and takes this call in no form: sent again it would be refused again.</summary>
    public sealed record NotTaken(string Reason) : ControlPlaneAnswer;

    /// <summary>Lines that could not be kept; they are sent again.</summary>
    public sealed record NotNow(string Reason) : ControlPlaneAnswer;

    /// <summary>The two speak different protocols; trying again changes nothing.</summary>
    public sealed record Refused(string Message) : ControlPlaneAnswer;
}
