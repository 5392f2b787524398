namespace DeepSeekOps.Dashboard.Words;

/// <summary>
/// The text of a field that the address keeps too. What somebody types goes round by the address and comes back later: such an echo is
/// not written into the field, where the next letters stand by then. An address that was opened is.
/// </summary>
public sealed class TypedText
{
    private readonly List<string> sent = [];
    private string known = "";

    public string Text { get; private set; } = "";

    /// <summary>Typed by a person; the same text back, to be written into the address.</summary>
    public string Type(string? text)
    {
        Text = text ?? "";
        sent.Add(Text);
        return Text;
    }

    /// <summary>What the address says now.</summary>
    public void Follow(string? address)
    {
        string says = address ?? "";
        if (says == known)
        {
            return;
        }

        known = says;
        int echo = sent.LastIndexOf(says);
        if (echo < 0)
        {
            sent.Clear();
            Text = says;
        }
        else
        {
            sent.RemoveRange(0, echo + 1);
        }
    }
}
