using System.Collections.Immutable;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>What a question is about.</summary>
internal enum About
{
    /// <summary>One run, which has to be named where there are several.</summary>
    OneRun = 0,
    /// <summary>A run, or all of them.</summary>
    AnyRun = 1,
    /// <summary>The cluster or the control plane: a run is not asked for.</summary>
    All = 2,
}

/// <summary>A question that the program answers by itself.</summary>
/// <param name="Id">"why-waits": how scripts and assistants name it.</param>
/// <param name="Text">As a person asks it.</param>
/// <param name="Needs">Without which there is no answer.</param>
/// <param name="Wants">With which the answer says more.</param>
/// <param name="Ways">Other ways to ask the same.</param>
internal sealed record Question(
    string Id, string Text, About About, Need Needs, Need Wants, ImmutableArray<string> Ways, Func<Facts, Answer> Find)
{
    public Answer Ask(Facts facts)
    {
        string? because = facts.Missing.Where(m => Needs.HasFlag(m.Key)).OrderBy(m => m.Key).Select(m => m.Value).FirstOrDefault();
        var answer = because is null ? Find(facts) : Answer.Unknown(because);
        answer = facts.Run?.AsOf is { } asOf
            ? answer.With("as of", $"{Words.Moment(asOf.ToDateTimeOffset())}; nothing could be decided since") : answer;
        return facts.Simulated && because is null ? answer.Before("Simulated: ") : answer;
    }
}

/// <param name="Name">"incidents": the name of the tool that answers them.</param>
/// <param name="Title">Of the list that people read.</param>
/// <param name="Purpose">What its questions are good for, in a sentence.</param>
internal sealed record QuestionGroup(string Name, string Title, string Purpose, ImmutableArray<Question> Questions)
{
    /// <summary>What is asked about a run can be asked without one only where all or none are meant.</summary>
    public bool NeedsRun => Questions.All(q => q.About == About.OneRun);
}
