using DeepSeekOps.Dashboard.Words;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class TypedTextTests
{
    /// <summary>On a slow line the letters typed since were taken away again: "draft" came out as "dt".</summary>
    [Fact]
    public void What_comes_back_by_the_address_takes_no_letter_away_that_was_typed_since()
    {
        var field = new TypedText();
        field.Follow(null);
        field.Type("a");
        field.Type("al");
        field.Follow("a");
        Assert.Equal("al", field.Text);
        field.Type("alp");
        field.Follow("alp");
        field.Follow("alp");
        Assert.Equal("alp", field.Text);
    }

    [Fact]
    public void An_address_that_was_opened_and_the_Back_key_are_followed()
    {
        var field = new TypedText();
        field.Follow("team:alpha");
        Assert.Equal("team:alpha", field.Text);
        field.Type("mini");
        field.Follow("mini");
        field.Follow("team:alpha");
        Assert.Equal("team:alpha", field.Text);
        field.Follow(null);
        Assert.Equal("", field.Text);
    }
}
