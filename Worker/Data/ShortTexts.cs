using System.Text;

namespace DeepSeekOps.Worker.Data;

/// <summary>Plain sentences from a small grammar, and texts that tell a code early and ask for it late.</summary>
public static class ShortTexts
{
    private static readonly string[] People = ["The baker", "The pilot", "A child", "My aunt", "The doctor", "An old man", "The farmer",
        "A singer"];
    private static readonly string[] Deeds = ["saw", "painted", "found", "carried", "liked", "bought", "drew", "watched"];
    private static readonly string[] Kinds = ["small", "green", "old", "quiet", "bright", "heavy", "round", "new"];
    private static readonly string[] Objects = ["boat", "lamp", "tree", "bridge", "bird", "clock", "garden", "door"];
    private static readonly string[] Places = ["by the river", "in the city", "near the hill", "at night", "in the rain", "on Monday",
        "at home", "in spring"];

    private const string Ask = " So the code is ";

    public static string Sentence(ref SeededRandom random) =>
        $"{random.Pick<string>(People)} {random.Pick<string>(Deeds)} a {random.Pick<string>(Kinds)} {random.Pick<string>(Objects)} "
            + $"{random.Pick<string>(Places)}.";

    public static string Paragraph(ref SeededRandom random, int sentences)
    {
        var text = new StringBuilder();
        for (var i = 0; i < sentences; i++)
        {
            text.Append(i == 0 ? "" : " ").Append(Sentence(ref random));
        }
        return text.ToString();
    }

    /// <summary>
    /// A code of one letter, then other sentences, then the code again: reading it takes attention over the whole distance.
    /// </summary>
    /// <param name="depth">Where in the text the number stands: 0 at its beginning, 1 at its end.</param>
    public static Needle Needle(ref SeededRandom random, int lengthChars, double depth)
    {
        var secret = Code(ref random);
        var hidden = $"The code is {secret}.";
        var room = lengthChars - hidden.Length - Ask.Length - secret.Length - 2;
        var (before, after) = (new StringBuilder(), new StringBuilder());
        while (true)
        {
            var sentence = Sentence(ref random);
            if (before.Length + after.Length + sentence.Length + 1 > room)
            {
                break;
            }
            var target = before.Length + sentence.Length <= depth * room ? before : after;
            target.Append(sentence).Append(' ');
        }
        var haystack = $"{before}{hidden} {after}".TrimEnd();
        return new Needle(haystack + Ask, secret);
    }

    /// <summary>A code that is asked for several times, with a sentence between or none: what reading back is first learned from.</summary>
    public static string AskedAgain(ref SeededRandom random)
    {
        var secret = Code(ref random);
        var text = new StringBuilder($"The code is {secret}.");
        for (var left = random.Next(2, 6); left > 0; left--)
        {
            if (random.Next(2) == 0)
            {
                text.Append(' ').Append(Sentence(ref random));
            }
            text.Append(Ask).Append(secret).Append('.');
        }
        return text.ToString();
    }

    private static string Code(ref SeededRandom random) => ((char)('A' + random.Next(26))).ToString();
}

/// <param name="Prompt">Text that holds the secret somewhere and ends where it is asked for.</param>
public sealed record Needle(string Prompt, string Secret);
