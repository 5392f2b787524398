namespace DeepSeekOps.Worker.Data;

/// <param name="Question">What the user asks.</param>
/// <param name="Solution">A right answer as an assistant would write it, its result in a box.</param>
/// <param name="Answer">The result alone, which a verifier compares.</param>
public sealed record Problem(string Question, string Solution, string Answer)
{
    /// <param name="conversation">One question and its answer.</param>
    public static Problem Of(Conversation conversation)
    {
        var (question, solution) = (conversation.Turns[0].Text, conversation.Turns[1].Text);
        return new Problem(question, solution, Verifier.BoxedText(solution) ?? solution.Trim());
    }

    public Conversation ToConversation() => new([new Turn(Speaker.User, Question), new Turn(Speaker.Assistant, Solution)]);
}
