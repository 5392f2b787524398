using DeepSeekOps.Worker.Cli;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Cli;

/// <summary>Tenths of a second.</summary>
public sealed class ValidateVerbTests
{
    [Fact]
    public void A_right_product_is_found_right() => Assert.Empty(DeviceTest.Unknown(CPU, 64, (a, b) => a.mm(b)));

    [Theory]
    [InlineData(0, 0)]
    [InlineData(63, 63)]
    [InlineData(17, 40)]
    public void One_wrong_number_of_a_product_is_found_in_its_row_and_its_column(int row, int column) => Assert.Equal(
        "cpu: a matrix product of known result is wrong in 1 row and 1 column of 64",
        Assert.Single(DeviceTest.Unknown(CPU, 64, (a, b) =>
        {
            var product = a.mm(b);
            product[row, column] += 1;
            return product;
        })));

    [Fact]
    public void A_product_that_differs_from_itself_by_its_last_bit_is_found()
    {
        float next = 1;
        Assert.Empty(DeviceTest.Unequal(CPU, () => full(4, 4, next)));
        Assert.Contains("differs in 16 of 16", Assert.Single(DeviceTest.Unequal(CPU, () => full(4, 4, next = MathF.BitIncrement(next)))),
            StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_not_asked_for_properly_is_refused()
    {
        using var said = new StringWriter();
        Assert.Equal(2, ValidateVerb.Run(["--folder"], said, said));
        Assert.Equal(2, ValidateVerb.Run(["--ranks", "2"], said, said));
        Assert.Contains("Usage: dsops-worker validate", said.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_disk_that_reads_what_was_written_is_timed_and_leaves_no_file_behind()
    {
        var folder = Directory.CreateTempSubdirectory("dsops-validate-");
        try
        {
            var found = new MachineFigures { Device = "cpu" };
            DiskTest.Run(folder.FullName, 8 << 20, found);
            Assert.Empty(found.Wrong);
            Assert.True(found.DiskWriteBytesPerSecond > 0 && found.DiskReadBytesPerSecond > 0);
            Assert.Empty(folder.GetFiles());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
