using System.Text;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>
/// The way to the terminal that every verb writes by: whatever a verb forgets to clean is cleaned here. Drawing keeps its own escapes; what
/// is drawn is cleaned before (Columns.Clean).
/// </summary>
internal sealed class PlainWriter(TextWriter inner, bool escapes = false) : TextWriter(inner.FormatProvider)
{
    public override Encoding Encoding => inner.Encoding;

    public PlainWriter Drawing { get => escapes ? this : new PlainWriter(inner, escapes: true); }

    public override void Write(char value) => Write(value.ToString());

    public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

    public override void Write(ReadOnlySpan<char> buffer) => Write(buffer.ToString());

    public override void Write(string? value) => inner.Write(PlainText.Of(value ?? "", lines: true, escapes));

    public override void WriteLine(string? value) => inner.WriteLine(PlainText.Of(value ?? "", lines: true, escapes));

    public override void WriteLine() => inner.WriteLine();

    public override Task WriteAsync(string? value) => inner.WriteAsync(PlainText.Of(value ?? "", lines: true, escapes));

    public override Task WriteLineAsync(string? value) => inner.WriteLineAsync(PlainText.Of(value ?? "", lines: true, escapes));

    public override void Flush() => inner.Flush();

    public override Task FlushAsync() => inner.FlushAsync();
}
