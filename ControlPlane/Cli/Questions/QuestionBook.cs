using System.Collections.Immutable;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>All questions there are, in the order in which they are listed.</summary>
internal static class QuestionBook
{
    public static readonly ImmutableArray<QuestionGroup> Groups =
    [
        new("waiting", "Waiting", "Why a run waits for GPUs, when it starts, and who holds them.", OfWaiting.All),
        new("incidents", "What broke", "The newest incident of a run or of all: who, why, what was done, whether it worked, its price.",
            OfIncidents.All),
        new("checkpoints", "Checkpoints", "Which checkpoint a run would go on from, whether it is trusted, and which are quarantined.",
            OfCheckpoints.All),
        new("speed", "Time and speed", "When a run ends, how fast it is, which rank is slow.", OfSpeed.All),
        new("numbers", "Loss and results", "Loss spikes, numbers that are not finite, and what was measured.", OfNumbers.All),
        new("history", "The run and its like", "What a run does now, who asked for it, and how it differs from others.", OfHistory.All),
        new("cost", "Cost", "GPU-hours and money of a run, and where they went.", OfCost.All),
        new("cluster", "Nodes", "Which nodes are out, and which one fails most.", OfNodes.All),
        new("attention", "You", "What needs a person, what was decided meanwhile, whether the control plane is well.", OfAttention.All),
    ];

    public static readonly ImmutableArray<Question> All = [.. Groups.SelectMany(group => group.Questions)];

    /// <summary>Null: no question has that id.</summary>
    public static Question? Named(string id) => All.FirstOrDefault(question => question.Id == id);
}
