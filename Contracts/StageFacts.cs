namespace DeepSeekOps.Contracts.Ops.V1;

/// <summary>What a stage and its summary in a list both tell.</summary>
public interface IStageFacts
{
    string Name { get; }

    string State { get; }

    long Step { get; }

    long TotalSteps { get; }
}

public sealed partial class Stage : IStageFacts;

public sealed partial class StageSummary : IStageFacts;
