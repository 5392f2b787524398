namespace DeepSeekOps.Worker.Data;

/// <summary>
/// DeepSeek's conversation form: bos, then user mark and question, assistant mark, answer and eos, turn after turn.
/// Only the assistant's words and the eos after them are learned.
/// </summary>
public static class ChatTemplate
{
    /// <summary>Label of a place that is not learned, as cross-entropy's ignore_index has it.</summary>
    public const long Ignored = -100;

    public static Instance Render(Conversation conversation, ITokenizer tokenizer)
    {
        var special = tokenizer.Special;
        var (ids, learned) = (new List<int> { special.Bos }, new List<bool> { false });
        foreach (var turn in conversation.Turns)
        {
            ids.Add(turn.ByAssistant ? special.Assistant : special.User);
            learned.Add(false);
            ids.AddRange(tokenizer.Encode(turn.Text));
            if (turn.ByAssistant)
            {
                ids.Add(special.Eos);
            }
            learned.AddRange(Enumerable.Repeat(turn.ByAssistant, ids.Count - learned.Count));
        }
        return new Instance([.. ids], [.. learned]);
    }

    /// <summary>The tokens after which the model is to answer.</summary>
    public static int[] Prompt(string question, ITokenizer tokenizer) =>
        [tokenizer.Special.Bos, tokenizer.Special.User, .. tokenizer.Encode(question), tokenizer.Special.Assistant];
}

/// <param name="Learned">Whether the token at this place is one the model has to say itself.</param>
public sealed record Instance(int[] Ids, bool[] Learned);
