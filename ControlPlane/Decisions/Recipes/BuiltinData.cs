namespace DeepSeekOps.Decisions.Recipes;

/// <summary>What is known of the worker's built-in data before it is launched; a test compares it with the worker.</summary>
public static class BuiltinData
{
    /// <summary>Tokens of the longest built-in question in the byte tokenizer, with the marks around it.</summary>
    public const int LongestPrompt = 47;
}
