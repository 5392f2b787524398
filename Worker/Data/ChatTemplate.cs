namespace DeepSeekOps.Worker.Data;

/// <summary>
/// DeepSeek's conversation form: bos and the system prompt, then user mark and question, assistant mark, answer and eos, turn after turn.
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
        void Add(IEnumerable<int> tokens, bool said)
        {
            ids.AddRange(tokens);
            learned.AddRange(Enumerable.Repeat(said, ids.Count - learned.Count));
        }

        // What stands above the conversation has no mark of its own, wherever the messages tell it.
        Add(tokenizer.Encode(string.Join("\n\n", conversation.Turns.Where(t => t.By == Speaker.System).Select(t => t.Text))), said: false);
        foreach (var turn in conversation.Turns.Where(t => t.By != Speaker.System))
        {
            var answers = turn.By == Speaker.Assistant;
            Add([answers ? special.Assistant : special.User], said: false);
            Add(tokenizer.Encode(turn.Text), answers);
            Add(answers ? [special.Eos] : [], answers);
        }
        return new Instance([.. ids], [.. learned]);
    }

    /// <summary>The tokens after which the model is to answer.</summary>
    public static int[] Prompt(string question, ITokenizer tokenizer) =>
        [tokenizer.Special.Bos, tokenizer.Special.User, .. tokenizer.Encode(question), tokenizer.Special.Assistant];
}

/// <param name="Learned">Whether the token at this place is one the model has to say itself.</param>
public sealed record Instance(int[] Ids, bool[] Learned);
