using System.Globalization;
using CsCheck;
using DeepSeekOps.Decisions.Spikes;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Spikes;

public sealed class LossFileTests
{
    [Theory]
    [InlineData("step,loss\n1,2.5\n2,2.25\n")]
    [InlineData("step,loss\r\n1,2.5\r\n2,2.25")]
    [InlineData("\uFEFFstep,loss\n1,2.5\n2,2.25\n")]
    [InlineData("1,2.5\n2,2.25\n")]
    [InlineData("# of a run\n\nStep\tTrain Loss\n1\t2.5\n\n2\t2.25\n")]
    [InlineData("iteration;lm loss;lr\n1;2,5;0.1\n2;2,25;0.1\n")]
    [InlineData("val_loss,epoch,loss,iter\n9,0,2.5,1\n9,0,2.25,2\n")]
    [InlineData("\"Step\",\"run, one - train/loss\",\"run, one - train/loss__MIN\"\n\"1\",\"2.5\",\"0\"\n\"2\",\"2.25\",\"0\"\n")]
    [InlineData("step,loss\n1.0,2.5e0\n2e0,+2.25E+00\n")]
    [InlineData("step loss\n 1   2.5\n 2   2.25 \n")]
    [InlineData("2,2.25\n1,2.5\n")]
    [InlineData("step,loss,note\n1,2.5,a\n2,,not logged\n2,2.25\n,9,no step\n3\n4,null,x\n")]
    public void A_file_of_losses_is_read_however_it_is_written(string text)
    {
        var file = LossFile.Parse(text);
        Assert.Empty(file.Problems);
        Assert.Equal([(1L, 2.5), (2L, 2.25)], file.Samples.Select(s => (s.Step, s.Loss)));
    }

    [Theory]
    [InlineData("nan", double.NaN)]
    [InlineData("NaN", double.NaN)]
    [InlineData("-nan", double.NaN)]
    [InlineData("-nan(ind)", double.NaN)]
    [InlineData("1.#QNAN", double.NaN)]
    [InlineData("inf", double.PositiveInfinity)]
    [InlineData("+Infinity", double.PositiveInfinity)]
    [InlineData("-INF", double.NegativeInfinity)]
    [InlineData("1.#INF", double.PositiveInfinity)]
    [InlineData("1e999", double.PositiveInfinity)]
    public void A_number_that_is_not_finite_is_a_finding_in_whatever_spelling(string cell, double value) =>
        Assert.Equal(value, LossFile.Parse($"step,loss\n1,{cell}\n").Samples.Single().Loss);

    [Fact]
    public void Gradient_norms_are_taken_where_a_column_has_them()
    {
        var file = LossFile.Parse("step,loss,Grad Norm\n1,2.5,0.5\n2,2.5,\n3,2.5,nan\n");
        Assert.Equal([0.5, null, double.NaN], file.Samples.Select(s => s.GradNorm));
    }

    [Theory]
    [InlineData("step,loss\n1,2.5\n2,high\n", "line 3: loss is 'high'")]
    [InlineData("step,loss\n0.25,2.5\n", "line 2: step is '0.25'; it takes a whole number")]
    [InlineData("step,loss\n-1,2.5\n", "step is '-1'")]
    [InlineData("step,loss,grad_norm\n1,2.5,x\n", "grad_norm is 'x'")]
    [InlineData("step,accuracy\n1,0.5\n", "none of the columns 'step', 'accuracy' is a loss; name one 'loss'")]
    [InlineData("", "there is no line with a loss")]
    [InlineData("step,loss\n", "there is no line with a loss")]
    public void What_is_no_loss_is_refused_by_line_field_value_and_fix(string text, string problem)
    {
        var file = LossFile.Parse(text);
        Assert.Contains(problem, Assert.Single(file.Problems), StringComparison.Ordinal);
        Assert.Empty(file.Samples);
    }

    [Fact]
    public void Of_many_wrong_lines_the_first_are_told_and_the_others_counted()
    {
        var file = LossFile.Parse("step,loss\n" + string.Concat(Enumerable.Repeat("1,x\n", 1000)));
        Assert.Equal(6, file.Problems.Length);
        Assert.Equal("and 995 lines more", file.Problems[^1]);
    }

    [Fact]
    public void A_step_that_goes_back_is_a_restart_and_lines_out_of_order_are_sorted()
    {
        string restart = string.Concat(Enumerable.Range(1, 100).Concat(Enumerable.Range(60, 40)).Select(i => $"{i},2\n"));
        Assert.Equal("steps go back once: taken as restarts", Assert.Single(LossFile.Parse(restart).Notes));
        var shuffled = LossFile.Parse(string.Concat(Enumerable.Range(0, 100).Select(i => $"{i * 37 % 100},2\n")));
        Assert.Equal(Enumerable.Range(0, 100).Select(i => (long)i), shuffled.Samples.Select(s => s.Step));
        Assert.Contains("sorted", Assert.Single(shuffled.Notes), StringComparison.Ordinal);
    }

    /// <summary>Whatever bytes a file has, it is read or refused with a line; and what was written is what is read.</summary>
    [Fact]
    public void Any_text_is_read_or_refused()
    {
        var pieces = OneOf("step", "loss", "grad_norm", ",", ";", "\t", " ", "\n", "\r\n", "\"", "1", "2.5", "-", "nan", "1e5", "\uFEFF",
            "#", "∞", "\0", "𝕏", ".", "1,5", "99999999999999999999", "null");
        pieces.Array[0, 60].Select(string.Concat).Sample(text =>
        {
            var file = LossFile.Parse(text);
            Assert.True(file.Samples.IsEmpty != file.Problems.IsEmpty);
            Assert.True(file.Samples.All(s => s.Step >= 0));
            SpikeReport.Of(file.Samples.AsSpan());
        }, iter: 5000);
    }

    [Fact]
    public void What_was_written_is_what_is_read_to_the_last_bit() =>
        Gen.Select(Gen.Double, OneOf("R", "G17", "E16", "F6", "0.0000")).Array[1, 20].Sample(cells =>
        {
            string[] written = [.. cells.Select(c => c.Item1.ToString(c.Item2, CultureInfo.InvariantCulture))];
            var file = LossFile.Parse(string.Concat(written.Select((cell, i) => $"{i},{cell}\n")));
            Assert.Equal(written.Select(cell => double.Parse(cell, CultureInfo.InvariantCulture)), file.Samples.Select(s => s.Loss));
        }, iter: 500);

    private static Gen<string> OneOf(params string[] texts) => Gen.OneOf(texts.Select(Gen.Const).ToArray());
}
